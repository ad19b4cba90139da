"""Exceptions: why a server cannot be started."""


class NoServer(Exception):
    """The machine has no usable tritonserver; the message says what to do."""


class ServerFailed(Exception):
    """The server cannot start or did not become ready; the message says why."""
