"""The error tree of the gateway. A refusal at a door is a value (`model.Decision`), never one of these."""

from runtime.errors import UserError


class GatewayError(UserError):
    """Root of everything the gateway raises on purpose. Its text is one sentence a person can act on."""


class StoreError(GatewayError):
    """The store cannot be opened, read or written."""


class DriverError(GatewayError):
    """A bus, pin or camera cannot be opened or used as configured."""


class VisionError(GatewayError):
    """A picture or a model cannot be used."""


class OperationRefusedError(GatewayError):
    """An operation was understood and refused; the text says why. code: for a page that says it in its reader's
    language, "" where there is none; about: the holder it speaks of."""

    def __init__(self, text: str, code: str = "", about: str = "") -> None:
        super().__init__(text)
        self.code, self.about = code, about


class OperationsUnavailableError(GatewayError):
    """Core does not answer on its operations socket."""
