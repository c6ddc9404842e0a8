"""The root of this kit's errors."""

from runtime.errors import UserError


class PageError(UserError):
    """A page cannot be served as asked. Its text is one sentence a person can act on."""
