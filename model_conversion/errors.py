"""What can go wrong when weights are converted."""

from __future__ import annotations

from runtime.errors import UserError


class ConversionError(UserError):
    """The graph has something that this converter does not know, or is not an ONNX graph."""
