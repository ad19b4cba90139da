"""The exception of a search."""


class SearchError(Exception):
    """A table cannot be searched; the message says why and what to do."""
