"""HTTP: thin. Requests become commands, results and errors become answers."""
