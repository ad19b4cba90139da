"""How many pixels a file may make a decoder decode: a codec can repeat a frame of any size in a few bytes."""

from video.errors import InvalidVideo, Reason
from video.limits import Limits

WHAT_TO_DO = "(MAX_DECODED_PIXELS): request a part of the video (start_seconds, end_seconds)"


def max_pixels(file_bytes: int, limits: Limits) -> int:
    """The most pixels to decode of a file of this size; a larger file has earned more work."""
    return limits.max_decoded_pixels + limits.max_decoded_pixels_per_byte * file_bytes


def is_too_much(frames: int, width: int, height: int, file_bytes: int, limits: Limits) -> bool:
    """Whether decoding so many frames of this size is more than the file may ask for."""
    return frames * width * height > max_pixels(file_bytes, limits)


def check_work(frames: int, width: int, height: int, file_bytes: int, limits: Limits) -> None:
    """Raise `InvalidVideo` if decoding so many frames of this size is more than the file may ask for."""
    pixels, most = frames * width * height, max_pixels(file_bytes, limits)
    if is_too_much(frames, width, height, file_bytes, limits):
        raise InvalidVideo(
            f"the wanted frames need {frames} frames of {width} x {height} decoded, {pixels / 1e9:.1f} gigapixels; the "
            f"maximum for a file of {file_bytes / 1e6:.1f} MB is {most / 1e9:.1f} {WHAT_TO_DO}",
            Reason.TOO_LARGE,
        )


def decoded_too_much(most: float) -> InvalidVideo:
    """The error if a file turns out to have more than `most` pixels to decode: its frames are larger than it says."""
    return InvalidVideo(
        f"more than {most / 1e9:.1f} gigapixels were decoded, the maximum for a file of this size {WHAT_TO_DO}",
        Reason.TOO_LARGE,
    )
