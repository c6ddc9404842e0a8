"""The error tree of the center. What a gateway sends wrongly is a `ContractError`: counted, never raised."""

from runtime.errors import UserError


class CenterError(UserError):
    """Root of everything the center raises on purpose. Its text is one sentence a person can act on."""


class BrokerError(CenterError):
    """The embedded broker cannot be configured, started or kept running."""


class IngestError(CenterError):
    """Ingest cannot use the broker as configured."""


class StoreError(CenterError):
    """The center's database cannot be opened, read or written."""


class StoreDamagedError(StoreError):
    """The center's database file is not what SQLite wrote; `why` is SQLite's own word."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(text)
        self.why = why


class ClockDoubtedError(StoreError):
    """Old events are not removed, because the clock may be wrong."""


class SearchError(StoreError):
    """A question to the store is not one it can answer: a wrong filter or cursor."""


class AddressError(CenterError):
    """A table of addresses cannot be read or holds errors."""


class WebhookError(CenterError):
    """A webhook cannot be used as configured."""
