"""What can go wrong in an export.

ExportError
└── SourceUnavailable    the source cannot be reached or read whole
"""


class ExportError(Exception):
    """The export cannot be done; the message says why in one sentence. Nothing was changed."""


class SourceUnavailable(ExportError):
    """A checkpoint source cannot be reached, or a file of it cannot be read."""
