"""Every way in which bytes, a topic or a document can break the contract: a peer's mistake, never a bug of ours."""


class ContractError(ValueError):
    """Root: what arrived does not follow the contract. One sentence; peer text in it is quoted and capped."""


class FrameError(ContractError):
    """Bytes that are not a frame, or a frame over a limit. `cause` is the machine word that the sender is told."""

    def __init__(self, text: str, cause: str = "not-a-frame") -> None:
        super().__init__(text)
        self.cause = cause


class TopicError(ContractError):
    """A topic that is not one of ours."""


class AcknowledgementError(ContractError):
    """A document that is not an acknowledgement."""


class StateError(ContractError):
    """A document that is not a gateway's state."""


def quoted(text: object, limit: int = 80) -> str:
    """A peer's text for a sentence: escaped, at most `limit` characters."""
    plain = ascii(text)
    return plain if len(plain) <= limit else plain[: limit - 3] + "..."
