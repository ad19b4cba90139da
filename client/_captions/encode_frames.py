"""Frames of a video as JPEG pictures, in its own process: a decoder may crash or hang on a broken file.

Arguments: path, start and end in seconds, number of frames, side in pixels. Writes the length of each picture as eight
bytes, then the picture, to standard output; an error message to standard error.
"""

import io
import sys
from typing import Any

import av
from PIL import Image, ImageOps

QUALITY = 90


def frames_at(path: str, start_seconds: float, end_seconds: float, count: int) -> list[Any]:
    """`count` frames as pictures, evenly from the first to the last of start <= timestamp < end.

    Raises ValueError if there is none, and PyAV's exceptions.
    """
    with av.open(path) as source:
        streams = [stream for stream in source.streams.video if not stream.disposition & 0x400]  # not cover art
        if not streams:
            raise ValueError("the video has no video stream")
        stream = streams[0]
        stream.thread_type = "AUTO"
        first = float(stream.start_time * stream.time_base) if stream.start_time and stream.time_base else 0.0
        start, end = max(start_seconds, first), end_seconds
        found = []
        for index in range(count):
            wanted = start + (end - start) * (index / (count - 1) if count > 1 else 0.5)
            frame = _frame(source, stream, wanted, end)
            if frame is not None:
                found.append(frame.to_image())
        if not found:
            raise ValueError("no frame could be decoded")
        return found


def _frame(source: Any, stream: Any, wanted: float, end: float) -> Any:
    """The last frame at or before a time, and before the end; the first frame if all are later."""
    source.seek(max(0, int(wanted * av.time_base)), backward=True)
    last = None
    for frame in source.decode(stream):
        shown = frame.time or 0.0
        if last is not None and (shown > wanted or shown >= end):
            break
        last = frame
    return last


def picture(image: Any, side: int) -> bytes:
    """A JPEG of side x side pixels: the whole frame, with black where its shape differs."""
    content = io.BytesIO()
    ImageOps.pad(image.convert("RGB"), (side, side), Image.Resampling.BICUBIC).save(content, "JPEG", quality=QUALITY)
    return content.getvalue()


if __name__ == "__main__":
    try:
        frames = frames_at(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
        for encoded in (picture(frame, int(sys.argv[5])) for frame in frames):
            sys.stdout.buffer.write(len(encoded).to_bytes(8, "little") + encoded)
    except av.FFmpegError as error:
        sys.exit(f"it cannot be decoded: {error.strerror}")
    except (ValueError, OSError) as error:
        sys.exit(str(error))
