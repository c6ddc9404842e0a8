"""The error of device profiles."""

from runtime.errors import UserError


class ProfileError(UserError):
    """A profile cannot be used. The text names file, key, what was expected, what came, what to do."""
