"""What survives a reconnect (L1, and the keeper): rooms, topics and positions of a socket, for ten minutes."""
