"""A door node with a text display: a permanent text, and a temporary one in front of it for a while."""

from firmware.node.alone import AloneDoor
from firmware.wire import codes

MAX_SHOWN = 32  # two rows of sixteen


class Display:
    """What is shown, as bytes of printable ASCII."""

    def __init__(self):
        self._permanent = b""
        self._temporary = b""
        self._until_ms = None

    @property
    def shown(self) -> bytes:
        """What to show now."""
        return self._permanent if self._until_ms is None else self._temporary

    def take(self, text, now_ms: int) -> int:
        """Carry out a text command; a codes.NAK_* number, 0 where it was done."""
        if text.reader or text.row != 1 or text.column != 1 or len(text.text) > MAX_SHOWN:
            return codes.NAK_RECORD
        if text.control in (codes.TEXT_PERMANENT, codes.TEXT_PERMANENT_WRAP):
            self._permanent = bytes(text.text)
        elif text.control in (codes.TEXT_TEMPORARY, codes.TEXT_TEMPORARY_WRAP):
            self._temporary = bytes(text.text)
            self._until_ms = now_ms + 1000 * text.time
        else:
            return codes.NAK_RECORD
        return 0

    def settle(self, now_ms: int) -> None:
        """End a temporary text whose time is over."""
        if self._until_ms is not None and now_ms >= self._until_ms:
            self._until_ms = None

    def due_ms(self):
        """When the temporary text ends; None where there is none."""
        return self._until_ms


class DoorWithDisplay(AloneDoor):
    """One more effect: ("text", bytes), what the display shows now."""

    def __init__(self, alone, counted: bool = False, **wired):
        self._display = Display()
        self._text = b""
        super().__init__(alone, counted, **wired)
        self.capabilities = self.capabilities[:]
        self.capabilities.append((6, 1, 1))

    def text(self, text, now_ms: int) -> int:
        """Carry out a text command."""
        self._heard(now_ms)
        refusal = self._display.take(text, now_ms)
        self._refresh(now_ms)
        return refusal

    def tick(self, now_ms: int) -> None:
        """Let time pass: a temporary text ends."""
        self._refresh(now_ms)
        super().tick(now_ms)

    def due_ms(self):
        """The next moment at which `tick` does something, or None."""
        moments = [moment for moment in (super().due_ms(), self._display.due_ms()) if moment is not None]
        return min(moments) if moments else None

    def present(self) -> list:
        """What pins that have just come (back) should show now."""
        shown = super().present()
        shown.append(("text", self._text))
        return shown

    def _refresh(self, now_ms: int) -> None:
        self._display.settle(now_ms)
        if self._text != self._display.shown:
            self._text = self._display.shown
            self._effects.append(("text", self._text))
