"""Videos made for a test: a texture that moves a little every frame, so that each frame is unlike its neighbours."""

from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def picture(index: int, width: int, height: int) -> NDArray[np.uint8]:
    """Frame `index` of every test video, (height, width, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = [np.sin(x / (7 + 3 * c) + index * 0.35) + np.cos(y / (9 + 2 * c) - index * 0.2) for c in range(3)]
    return np.clip(np.stack(waves, axis=-1) * 55 + 110 + (index % 7) * 6, 0, 255).astype(np.uint8)


def encode(
    frames: int = 50,
    *,
    width: int = 160,
    height: int = 120,
    rate: Fraction | int = 25,
    codec: str = "libx264",
    container: str = "mp4",
    pixel_format: str | None = None,
    pts: list[int] | None = None,
    metadata: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    rotation_degrees: int = 0,
) -> bytes:
    """A whole file; `pts`, in units of 1 / rate, makes the frame rate variable.

    With `rotation_degrees` it says that it is to be turned clockwise by that much.
    """
    file = BytesIO()
    with av.open(file, "w", format=container, container_options=container_options or {}) as output:
        output.metadata.update(metadata or {})
        stream = output.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = width, height
        stream.pix_fmt = pixel_format or ("yuvj420p" if codec == "mjpeg" else "yuv420p")
        if rotation_degrees:
            stream.set_display_rotation(-rotation_degrees)
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index, width, height), format="rgb24")
            frame.pts = index if pts is None else pts[index]
            frame.time_base = 1 / Fraction(rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def transcode(
    path: Path, frames: int, *, codec: str, container: str, width: int, height: int, rate: Fraction | int = 25
) -> bytes:
    """The first frames of a real video in another size, rate, codec and container."""
    file = BytesIO()
    fast = {"crf": "20", "b": "0", "deadline": "realtime", "cpu-used": "8"} if codec == "libvpx-vp9" else {}
    with av.open(path) as source, av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, options=fast)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for index, decoded in zip(range(frames), source.decode(source.streams.video[0]), strict=False):
            frame = decoded.reformat(width, height, stream.pix_fmt)
            frame.pts, frame.time_base = index, 1 / Fraction(rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def encode_audio(container: str = "mp4") -> bytes:
    """A file with a second of sound and no picture."""
    file = BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def encode_still(codec: str = "png") -> bytes:
    """A still image."""
    context = av.CodecContext.create(codec, "w")
    context.width, context.height = 64, 48
    context.pix_fmt = "rgb24" if codec == "png" else "yuvj420p"
    context.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(picture(0, 64, 48), format="rgb24").reformat(format=context.pix_fmt)
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def decode_all(video: bytes) -> list[NDArray[np.uint8]]:
    """Every frame of a file as RGB, in the plainest way there is."""
    with av.open(BytesIO(video)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(container.streams.video[0])]
