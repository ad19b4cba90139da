"""What can go wrong when scenes are looked for."""


class ScenesError(Exception):
    """A video has no scenes, for a reason that the message says in one sentence."""


class Stopped(Exception):
    """The run was stopped; the video may be fine."""
