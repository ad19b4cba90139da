"""What goes wrong with answers and learned filters."""


class LearnError(Exception):
    """Answers or a learned filter cannot be used; the message says why."""
