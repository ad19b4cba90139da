"""What can go wrong with a source or with the annotated video, besides what can go wrong with the server."""

from ..errors import ClientError


class SourceError(ClientError):
    """The source cannot be opened, has no video, or broke; the message is one sentence that says how."""


class SourceStalled(SourceError):
    """No frame came from the source for `stall_seconds`."""


class UnwritableOutput(ClientError):
    """The annotated video cannot be written."""
