"""Draws what cameras of a simulated site see: plates and simple scenes. Pure of I/O but for two font files."""
