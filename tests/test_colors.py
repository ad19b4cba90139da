"""Conversion to RGB in the cpu profile: BT.601 in the stated range, beside its definition and imageio's results."""

from io import BytesIO
from typing import cast

import av
import numpy as np
import pytest
from av.container import InputContainer
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from fixtures.colors import BLOCKS, KINDS, blocks_video, centers
from tests.conftest import REFERENCE
from video.colors import Colors, colors_of, dali_converts_alike
from video.container import open_video, read_frame_table
from video.decoding import decode

KR, KB = 0.299, 0.114
"""Of BT.601: the shares of red and blue in luma."""
ROUNDED_DOWN = 1.5
"""FFmpeg rounds down: by at most this many levels of 255 on average. Another matrix or range is 5 or more off."""


def colors_of_blocks(clips: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(5, 8, 3) colors of the blocks in a frame that was stretched to a square."""
    rows, columns = (((np.arange(count) + 0.5) * 224 / count).astype(int) for count in BLOCKS.shape[:2])
    return clips[rows[:, None], columns].astype(np.float64)


def decoded_blocks(video: bytes) -> NDArray[np.float64]:
    out, first = np.zeros((1, 224, 224, 3), np.uint8), np.zeros(1, int)
    decode(BytesIO(video), first, first, first[:0], 224, out)
    return colors_of_blocks(out[0])


def first_frame(video: bytes) -> VideoFrame:
    with cast(InputContainer, av.open(BytesIO(video))) as container:
        return next(container.decode(video=0))


def by_definition(frame: VideoFrame, full_range: bool) -> NDArray[np.float64]:
    """(height, width, 3) RGB, as ITU-R BT.601 defines it for 8 bits, of planar 4:2:0; the nearest chroma is taken."""
    bits = frame.format.components[0].bits
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(cast(memoryview, plane), np.uint8 if bits == 8 else np.uint16).reshape(plane.height, -1)
        factor = frame.width // plane.width
        planes.append((rows[:, : plane.width] / 2 ** (bits - 8)).repeat(factor, 0).repeat(factor, 1))
    luma, blue, red = planes[0], planes[1] - 128, planes[2] - 128
    if not full_range:
        luma, blue, red = (luma - 16) * 255 / 219, blue * 255 / 224, red * 255 / 224
    r, b = luma + 2 * (1 - KR) * red, luma + 2 * (1 - KB) * blue
    g = (luma - KR * r - KB * b) / (1 - KR - KB)
    return np.stack([r, g, b], axis=-1).clip(0, 255)


def imageio_colors(pyav: int) -> dict[str, NDArray[np.uint8]]:
    """What imageio returned with a PyAV, by kind; the kinds that it refused are missing."""
    stored = np.load(REFERENCE / f"colors_pyav{pyav}.npz")
    return dict(zip(stored["names"].tolist(), stored["colors"], strict=True))


def test_the_definition_gives_back_what_was_encoded() -> None:
    for name in ("h264", "h264 full", "hevc 10-bit full"):
        frame = first_frame(blocks_video(name))
        differences = np.abs(centers(by_definition(frame, "full" in name)) - BLOCKS)
        # The tag alone says full range: what is encoded has limited range.
        assert (differences.mean() < 2) == ("full" not in name)


@pytest.mark.parametrize("name", KINDS)
def test_frames_are_bt601_in_the_stated_range_whatever_matrix_is_stated(name: str) -> None:
    video = blocks_video(name)
    found = decoded_blocks(video)
    expected = centers(by_definition(first_frame(video), "full" in name))
    assert np.abs(found - expected).mean() < ROUNDED_DOWN
    # Since PyAV 17, imageio follows the stated matrix; before, the range counted in 8-bit H.264, HEVC and MJPEG only.
    old, new = imageio_colors(16), imageio_colors(17)
    has_range = KINDS[name].pixel_format.startswith("yuvj") or name in ("h264 full", "h264 bt709 full", "hevc full")
    if "full" not in name or has_range:
        assert np.abs(found - old[name]).mean() < 1
    elif "bt709" not in name:
        assert np.abs(found - new[name]).mean() < 1


def test_imageio_reads_colors_otherwise_since_pyav_17() -> None:
    """The facts in docs/sampling.md."""
    old, new = imageio_colors(16), imageio_colors(17)
    assert old.keys() == KINDS.keys()
    assert old.keys() - new.keys() == {"h264 bt2020c", "h264 ycgco", "h264 ictcp"}
    changed = {name for name in new if np.abs(old[name].astype(int) - new[name]).mean() > 1}
    assert changed == {
        *("h264 bt709", "h264 bt709 full", "h264 bt2020", "h264 10-bit bt2020", "hevc 10-bit hdr"),
        *("vp9 bt709", "vp9 bt709 full", "vp9 bt2020", "vp9 10-bit bt2020"),
        *("h264 10-bit full", "hevc 10-bit full", "vp9 full", "vp9 10-bit full", "av1 full"),
    }


def colors(video: bytes) -> Colors:
    with open_video(BytesIO(video)) as (container, stream):
        read_frame_table(container, stream)
        return colors_of(BytesIO(video), stream)


def tagged_by_the_container(container: str) -> bytes:
    """H.264 that states nothing, in a container that states full range."""
    file = BytesIO()
    video = blocks_video("h264")
    with cast(InputContainer, av.open(BytesIO(video))) as source, av.open(file, "w", format=container) as target:
        stream = source.streams.video[0]
        written = target.add_stream_from_template(stream)
        # mp4 files state a range only beside a matrix.
        tags = {"color_range": 2, "colorspace": 6, "color_primaries": 6, "color_trc": 6}
        for tag, value in tags.items():
            setattr(written.codec_context, tag, value)
        for packet in source.demux(stream):
            if packet.size:
                packet.stream = written
                target.mux(packet)
    return file.getvalue()


def test_the_color_format_of_a_video_is_known() -> None:
    assert colors(blocks_video("h264 full")) == ("h264", "yuvj420p", True, True)
    assert colors(blocks_video("hevc 10-bit hdr")) == ("hevc", "yuv420p10le", False, False)
    assert colors(blocks_video("vp9 full")) == ("vp9", "yuv420p", True, True)
    for container in ("matroska", "mp4"):
        assert colors(tagged_by_the_container(container)) == ("h264", "yuvj420p", True, False)


def test_a_range_that_only_the_container_states_counts() -> None:
    video = tagged_by_the_container("matroska")
    expected = centers(by_definition(first_frame(video), full_range=True))
    assert np.abs(decoded_blocks(video) - expected).mean() < ROUNDED_DOWN


def test_nvdec_gets_only_what_is_converted_alike() -> None:
    alike = {name for name in KINDS if dali_converts_alike(colors(blocks_video(name)))}
    full = {name for name in KINDS if "full" in name}
    assert alike == KINDS.keys() - full | {"h264 full", "h264 bt709 full", "hevc full"}
    assert not dali_converts_alike(colors(tagged_by_the_container("mp4")))
    for pixel_format in ("yuv422p", "yuv444p", "gbrp", "gray", "yuv420p12le"):
        assert not dali_converts_alike(Colors("hevc", pixel_format, False, False))


def test_a_broken_bitstream_states_no_range() -> None:
    video = tagged_by_the_container("matroska")
    with open_video(BytesIO(video)) as (container, stream):
        payload = bytes(next(packet for packet in container.demux(stream) if packet.size))
    broken = video.replace(payload, bytes(len(payload)))
    assert broken != video
    assert colors(broken) == ("h264", "yuvj420p", True, False)
