"""What a node does, without I/O or clocks: time enters as `now_ms`, effects leave as values."""
