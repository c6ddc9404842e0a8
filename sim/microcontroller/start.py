"""Start a board's files in the Unix interpreter: `micropython -m sim.microcontroller.start IMAGE`, in the repository.

IMAGE is a folder of build/firmware, or a copy: boot.py and main.py run as on the board, from there and from its files.
"""

# ruff: noqa: PTH123, S102 - runs boot.py and main.py as the board does, in MicroPython

import os
import sys

from sim.microcontroller import board_link, machine, rp2


def main(image: str) -> None:
    """Does not return but by the end of main.py."""
    for name in [name for name in sys.modules if name.split(".")[0] == "firmware"]:
        del sys.modules[name]  # what the link used came from the sources; the node's own come from its image
    sys.path[:] = [image, ".frozen"]
    sys.modules["machine"] = machine
    sys.modules["rp2"] = rp2
    os.chdir(image)
    board_link.connect()
    for name in ("boot.py", "main.py"):
        with open(name) as file:
            code = file.read()
        exec(code, {"__name__": "__main__"})


if __name__ == "__main__":
    main(sys.argv[1])
