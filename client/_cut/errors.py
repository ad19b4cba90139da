"""What goes wrong while cutting."""


class CutError(Exception):
    """A run cannot start or go on; the message says why."""


class PartError(Exception):
    """One part cannot be cut; the message says why."""
