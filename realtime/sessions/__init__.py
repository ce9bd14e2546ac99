"""What survives a reconnect: rooms, topics and positions of a socket, for ten minutes."""
