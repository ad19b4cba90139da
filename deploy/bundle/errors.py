"""The error of this package."""


class BundleError(Exception):
    """A bundle cannot be made; the message is one sentence."""
