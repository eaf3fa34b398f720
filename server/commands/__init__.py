"""What an operator does beside running the server: a module for each command, with `run(settings, line) -> exit code`."""
