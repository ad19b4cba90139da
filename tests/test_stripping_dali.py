"""DALI finds the frames of a stripped file where we count them; its CPU decoder reads VP9, VP8 and MJPEG."""

from functools import cache
from io import BytesIO
from typing import Any, cast

import av
import numpy as np
import pytest
from av.container import InputContainer
from numpy.typing import NDArray

pytest.importorskip("nvidia.dali", reason="`make test` installs DALI")

from nvidia import dali

from fixtures.stripped import strip, video_of
from fixtures.synthetic import encode
from tests.test_orientation import ORIENTATIONS, matrix
from tests.test_stripping import PART, SPARSE, with_edit_list
from video import Parameters

pytestmark = pytest.mark.heavy

NEAR = 2.5
"""Mean difference, of 255, of the same frame from two decoders at most; they round differently."""


@cache
def pipeline() -> Any:
    @dali.pipeline_def(batch_size=1, num_threads=1, device_id=None, prefetch_queue_depth=1)
    def chosen_frames() -> object:
        video = dali.fn.external_source(name="VIDEO", dtype=dali.types.UINT8, ndim=1)
        frames = dali.fn.external_source(name="FRAMES", dtype=dali.types.INT32, ndim=1)
        return dali.fn.decoders.video(video, frames=frames, device="cpu")

    made = chosen_frames()
    made.build()
    return made


def dali_frames(video: bytes, indices: list[int]) -> NDArray[np.uint8]:
    """(frames, height, width, 3) uint8 RGB."""
    pipeline().feed_input("VIDEO", [np.frombuffer(video, np.uint8)])
    pipeline().feed_input("FRAMES", [np.array(indices, np.int32)])
    return np.array(pipeline().run()[0][0])


def blocks(frame: NDArray[Any]) -> NDArray[np.float64]:
    """The means of 8 x 8 pixels: decoders upsample colors differently."""
    height, width, _ = frame.shape
    return frame.reshape(height // 8, 8, width // 8, 8, 3).mean(axis=(1, 3))


def check(video: bytes, parameters: Parameters | None = None) -> None:
    """Compare DALI's frames of the stripped file with all frames that PyAV decodes of the whole video."""
    stripped = strip(video, parameters)
    assert stripped.content
    table = stripped.table
    with cast(InputContainer, av.open(BytesIO(video))) as container:
        frames = [(frame.pts, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    whole = [blocks(frame) for _, frame in frames]
    numbers = {pts: number for number, (pts, _) in enumerate(frames)}
    found = dali_frames(stripped.content, stripped.indices)
    for index, frame in zip(stripped.frame_indices, found, strict=True):
        number = int(index) if table.pts is None else numbers[int(table.pts[index])]
        difference = np.abs(whole[number] - blocks(frame)).mean()
        assert difference < NEAR
        for neighbor in {max(number - 1, 0), min(number + 1, len(whole) - 1)} - {number}:
            assert np.abs(whole[neighbor] - blocks(frame)).mean() > 4 * difference


@pytest.mark.parametrize("kind", ["vp9", "vp9, two passes", "vp8", "mjpeg", "mjpeg, avi"])
@pytest.mark.parametrize("parameters", [Parameters(), SPARSE, PART], ids=["all", "sparse", "part"])
def test_frames_are_where_they_are_counted(kind: str, parameters: Parameters) -> None:
    check(video_of(kind), parameters)


def test_dali_seeks_to_a_keyframe_of_a_stripped_file() -> None:
    """It seeks if the next wanted frame is more than 10 ahead and in another group."""
    options = {"g": "24", "cpu-used": "8", "deadline": "realtime"}
    video = encode(240, width=64, height=48, codec="libvpx-vp9", container="webm", options=options)
    stripped = strip(video, Parameters(fps=0.5, max_clips=1))
    assert max(np.diff(stripped.indices)) > 10
    check(video, Parameters(fps=0.5, max_clips=1))


@pytest.mark.parametrize("corner", list(ORIENTATIONS)[1::3], ids=str)
def test_a_display_matrix_changes_nothing(corner: tuple[int, ...]) -> None:
    video = encode(20, width=64, height=48, codec="mjpeg", container="mov", display_matrix=matrix(*corner))
    check(video)


def test_an_edit_list_changes_nothing() -> None:
    video = encode(60, width=64, height=48, codec="mjpeg", container="mp4")
    check(with_edit_list(video, 0.4))


@pytest.mark.parametrize("frames", [1, 500])
def test_numbers_of_frames(frames: int) -> None:
    check(encode(frames, width=32, height=32, codec="mjpeg", container="mov"))
