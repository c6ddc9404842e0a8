"""The root of errors that are written for a person."""


class UserError(Exception):
    """Its text is one sentence for whoever ran the command: the thing, what was expected, what came, what to do.

    The `zhian` command prints it on stderr and exits with 1; every side's own tree starts here.
    """


class ConfigError(UserError):
    """A configuration file cannot be used. The text names file, key, what was expected, what came, what to do."""
