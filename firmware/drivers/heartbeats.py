"""Who may feed the hardware watchdog: nobody, unless every task of the node has gone round lately. Pure."""


class Heartbeats:
    """`names` of the tasks; each has to `beat` at least every `limit_ms`."""

    def __init__(self, names: tuple, limit_ms: int, now_ms: int):
        self._last = dict.fromkeys(names, now_ms)
        self._limit_ms = limit_ms

    def beat(self, name: str, now_ms: int) -> None:
        """The task went round. KeyError for a name that was not announced."""
        if name not in self._last:
            raise KeyError(name)
        self._last[name] = now_ms

    def late(self, now_ms: int):
        """The name of a task that has not gone round in time, or None."""
        for name, last_ms in self._last.items():
            if now_ms - last_ms > self._limit_ms:
                return name
        return None
