"""OSDP as both ends speak it: frames, CRC, secure channel, messages. Pure; one source for CPython and MicroPython."""
