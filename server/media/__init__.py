"""The media plane: packets in, packets out. It knows nothing of people, HTTP or SQL."""
