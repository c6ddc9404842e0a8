"""Outputs that return to rest by themselves, and the reader's light."""


class PulsedOutput:
    """A relay at rest until pulsed, at rest again when the time is over, whatever became of the control panel."""

    def __init__(self):
        self._until_ms = None

    @property
    def driven(self) -> bool:
        return self._until_ms is not None

    def pulse(self, duration_ms: int, now_ms: int) -> None:
        """Drive it for `duration_ms` from now. A pulse that already runs longer is not cut short."""
        until_ms = now_ms + duration_ms
        if self._until_ms is None or until_ms > self._until_ms:
            self._until_ms = until_ms

    def rest(self) -> None:
        """Back to rest now."""
        self._until_ms = None

    def settle(self, now_ms: int) -> None:
        """End a pulse whose time is over."""
        if self._until_ms is not None and now_ms >= self._until_ms:
            self._until_ms = None

    def due_ms(self):
        """When the pulse ends; None at rest."""
        return self._until_ms


class Light:
    """A reader's LED: a permanent colour, and a temporary one in front of it for a while."""

    def __init__(self):
        self._permanent = 0
        self._temporary = 0
        self._until_ms = None

    @property
    def colour(self) -> int:
        """The colour to show (codes.BLACK, RED, GREEN, AMBER)."""
        return self._permanent if self._until_ms is None else self._temporary

    def show(self, colour: int) -> None:
        """From now on, whenever nothing temporary is shown."""
        self._permanent = colour

    def show_for(self, colour: int, duration_ms: int, now_ms: int) -> None:
        """For `duration_ms`, in front of the permanent colour."""
        self._temporary = colour
        self._until_ms = now_ms + duration_ms

    def cancel(self) -> None:
        """End the temporary colour."""
        self._until_ms = None

    def settle(self, now_ms: int) -> None:
        """End a temporary colour whose time is over."""
        if self._until_ms is not None and now_ms >= self._until_ms:
            self._until_ms = None

    def due_ms(self):
        """When the temporary colour ends; None where there is none."""
        return self._until_ms
