"""Exceptions of an export.

ExportError
└── SourceUnavailable    the source cannot be reached or read
"""


class ExportError(Exception):
    """The export failed; the message gives the reason in one sentence. The model repository is unchanged."""


class SourceUnavailable(ExportError):
    """A checkpoint source cannot be reached, or a file of it cannot be read."""
