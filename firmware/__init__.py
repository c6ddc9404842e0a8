"""What runs on the nodes: MicroPython firmware whose pure parts (wire, node) also run under CPython."""
