"""What can be wrong with the videos that a command line names."""


class InputError(Exception):
    """A folder, pattern or manifest is missing, unreadable or empty; the message says which and why."""
