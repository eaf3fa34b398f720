"""Messages to and from people in rooms. Knows connections only by a small protocol, and no HTTP."""
