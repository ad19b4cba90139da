"""Encode a few seconds of a video as a small MP4, in its own process: a decoder may crash or hang on a broken file.

Arguments: path, start and end in seconds. Writes the MP4 to standard output, an error message to standard error.
"""

import sys
from fractions import Fraction
from io import BytesIO

import av

FRAMES_PER_SECOND = 8
SIDE_PIXELS = 256
"""Longer side."""


def encode_preview(path: str, start_seconds: float, end_seconds: float) -> bytes:
    """An H.264 MP4 without sound of the frames in start <= timestamp < end, at `FRAMES_PER_SECOND`.

    Raises ValueError if there is no frame to show, and PyAV's exceptions.
    """
    file = BytesIO()
    with av.open(path) as source, av.open(file, "w", format="mp4") as output:
        streams = [stream for stream in source.streams.video if not stream.disposition & 0x400]  # not cover art
        if not streams:
            raise ValueError("the video has no video stream")
        stream = streams[0]
        stream.thread_type = "AUTO"
        if start_seconds > 0:
            source.seek(int(start_seconds * av.time_base), backward=True)
        encoded = None
        count = 0
        for frame in source.decode(stream):
            time_seconds = frame.time or 0.0
            if time_seconds >= end_seconds and count:
                break
            if time_seconds < start_seconds + count / FRAMES_PER_SECOND:
                continue
            if encoded is None:
                encoded = output.add_stream("libx264", rate=FRAMES_PER_SECOND)
                encoded.options = {"crf": "30", "preset": "veryfast"}
                encoded.width, encoded.height = _size(frame.width, frame.height)
                encoded.pix_fmt = "yuv420p"
            small = frame.reformat(encoded.width, encoded.height, "yuv420p")
            small.pts, small.time_base = count, Fraction(1, FRAMES_PER_SECOND)
            output.mux(encoded.encode(small))
            count += 1
        if encoded is None:
            raise ValueError("no frame could be decoded")
        output.mux(encoded.encode(None))
    return file.getvalue()


def _size(width: int, height: int) -> tuple[int, int]:
    scale = min(SIDE_PIXELS / max(width, height), 1)
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


if __name__ == "__main__":
    try:
        sys.stdout.buffer.write(encode_preview(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))
    except av.FFmpegError as error:
        sys.exit(f"it cannot be decoded: {error.strerror}")
    except (ValueError, OSError) as error:
        sys.exit(str(error))
