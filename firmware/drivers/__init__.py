"""The only firmware that touches hardware or an operating system."""
