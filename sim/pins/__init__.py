"""Simulated pins: the electrical model, the socket that serves it, and the gpiozero pin factory that connects to it."""
