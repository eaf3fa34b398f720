"""People in rooms: who is there, in what state, and the use cases around them. Knows no socket, SQL, HTTP or codec."""
