"""What goes wrong in a first pass."""


class FirstPassError(Exception):
    """A video cannot be looked at, or thresholds cannot be used; the message says why."""
