"""A node on the Unix port of MicroPython: pins over a socket, the bus over a pty or a serial port."""
