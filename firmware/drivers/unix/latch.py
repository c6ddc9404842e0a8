"""The fire latch on a computer: a file that is there while fire keeps the lock released, through restarts."""

import os


class LatchFile:
    """`kept` says whether what was last asked for is on disk; where it is not, ask again later."""

    def __init__(self, path: str):
        self._path = path
        self._wanted = self.on()
        self.kept = True

    def on(self) -> bool:
        """Whether the file is there. A folder that cannot be read counts as no latch."""
        try:
            os.stat(self._path)
        except OSError:
            return False
        return True

    def keep(self, on: bool) -> None:
        """Make or remove the file; it exists or not, so a power cut half way leaves no third state."""
        self._wanted = on
        self.again()

    def again(self) -> None:
        """Try once more what did not work."""
        try:
            if self._wanted:
                with open(self._path, "w") as file:
                    file.write("released by fire\n")
                    file.flush()  # this port's flush is fsync(2)
            elif self.on():
                os.remove(self._path)
        except OSError:
            self.kept = False
            return
        self.kept = True
