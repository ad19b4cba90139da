"""What every stub of the python backend does first."""

import os

from video import lifeline

UMASK = "VIDEO_MOTION_UMASK"
"""The umask of the user, in octal. tritonserver itself runs with a stricter one (`server.private_memory`)."""


def prepare() -> None:
    """End with the server, and give new files the modes that the user chose; may be called twice.

    Raises OSError or ValueError as `video.lifeline.hold` does.
    """
    lifeline.hold()
    if umask := os.environ.get(UMASK):
        os.umask(int(umask, 8))
