"""Bytes and pins, no rules. Drivers never import one another; they meet in `app.py`."""
