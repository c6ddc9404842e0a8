"""What commands and replies have in common: values that know their code and how to become a payload."""

from firmware.wire.errors import MessageError


class Message:
    """A payload as a value. Subclasses set `code`, fill `__init__`, `encode` and the static `decode`."""

    code = 0

    def encode(self) -> bytes:
        """The payload."""
        return b""

    def __eq__(self, other):
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self):
        return hash((self.code, self.encode()))

    def __repr__(self):
        # Names the kind only: payloads hold card numbers and keys, which have no business in a log.
        return "<" + type(self).__name__ + ">"


def need(payload: bytes, size: int) -> None:
    """The payload must have exactly `size` bytes. Raises MessageError("length")."""
    if len(payload) != size:
        raise MessageError("length", len(payload))


def records(payload: bytes, size: int) -> list:
    """Cut a payload of one or more records of `size` bytes. Raises MessageError("length")."""
    if not payload or len(payload) % size:
        raise MessageError("length", len(payload))
    return [payload[at : at + size] for at in range(0, len(payload), size)]
