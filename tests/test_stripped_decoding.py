"""A stripped video between processes: the worker writes it, its parent checks it, another worker decodes it."""

import fcntl
import mmap
import os
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fixtures.bombs import bomb
from fixtures.stripped import video_of
from fixtures.synthetic import encode
from tests.test_isolation import orders_of
from video import DecoderFailed, InvalidParameter, InvalidVideo, IsolatedDecoder, Limits, Parameters, sample
from video.container import DEFAULT_LIMITS, open_video, read_frame_table
from video.errors import Reason
from video.isolation import CONTENT_SEALS, SIZE_SEALS, End, _sealed
from video.nvdec_capabilities import capabilities
from video.plan import MAX_STRIPPED_MORE, max_stripped_bytes
from video.signals import Signal
from video.strip import NOT_STRIPPED, Strip
from video.stripping import stripped_video

pytestmark = pytest.mark.heavy

KINDS = ("x264", "x265, layers", "av1", "mjpeg, avi")
FEW = {"max_frames": 1, "max_clips": 1}


@pytest.fixture(scope="module")
def decoder() -> Iterator[IsolatedDecoder]:
    made = IsolatedDecoder(Limits())
    yield made
    made.close()


def decode(decoder: IsolatedDecoder, video: bytes, plan: dict[str, Any], **stripped: Any) -> NDArray[np.uint8]:
    """All clips of a plan, motion first."""
    return np.concatenate(decoder.decode(memoryview(video), *orders_of(plan), 224, **stripped)[:2])


def stripped_of(plan: dict[str, Any]) -> dict[str, Any]:
    return {"stripped_video": plan["stripped_video"], "stripped_indices": np.array(plan["stripped_indices"])}


@pytest.mark.parametrize("kind", KINDS)
def test_clips_of_the_stripped_video_are_those_of_the_video(kind: str, decoder: IsolatedDecoder) -> None:
    video = video_of(kind)
    plan = decoder.plan(memoryview(video), FEW, strip=Strip.FOR_FFMPEG)
    assert len(plan["stripped_video"]) == plan["stripped_bytes"] > 1000
    assert not plan["stripped_video"].flags.writeable
    before = decoder.frames_decoded
    expected = decode(decoder, video, plan)
    whole, before = decoder.frames_decoded - before, decoder.frames_decoded
    assert np.array_equal(decode(decoder, video, plan, **stripped_of(plan)), expected)
    part = decoder.frames_decoded - before
    assert part < whole if kind in ("x265, layers", "av1") else part <= whole + 1


def test_the_stripped_video_is_decoded_and_not_the_video(decoder: IsolatedDecoder) -> None:
    """The frames of another video show it."""
    video, other = video_of("x264"), encode(100, width=96, height=64)
    plan = decoder.plan(memoryview(video), FEW)
    instead = decoder.plan(memoryview(other), FEW)
    assert plan["frame_indices"] == instead["frame_indices"]
    assert np.array_equal(decode(decoder, video, plan, **stripped_of(instead)), decode(decoder, other, instead))


def test_nothing_is_stripped_unless_it_is_asked_for(decoder: IsolatedDecoder) -> None:
    video = video_of("x264")
    for when in (Strip.NEVER, Strip.FOR_FFMPEG, Strip.WHERE_SAFE):
        plan = decoder.plan(memoryview(video), {}, strip=when)
        assert bool(plan["stripped_bytes"]) == (when != Strip.NEVER)
        assert len(plan["stripped_video"]) == plan["stripped_bytes"]
        assert bool(plan["stripped_indices"]) == (when != Strip.NEVER)


@pytest.mark.parametrize(
    ("kind", "parameters", "pays"),
    [
        ("x264", {}, False),  # FFmpeg leaves out the same frames, and nearly all packets are left
        ("x264", {"start_seconds": 1.0, "end_seconds": 1.2}, True),
        ("vp9", {}, False),
        ("mjpeg", FEW, True),
    ],
)
def test_a_video_is_stripped_for_ffmpeg_where_it_pays(
    kind: str, parameters: dict[str, float], pays: bool, decoder: IsolatedDecoder
) -> None:
    plan = decoder.plan(memoryview(video_of(kind)), parameters, strip=Strip.WHERE_IT_PAYS)
    assert bool(plan["stripped_bytes"]) == pays


@pytest.mark.parametrize(("reads", "is_stripped"), [("h264", True), ("hevc,vp9", False)])
def test_what_nvdec_does_not_read_is_stripped_only_where_it_pays(
    reads: str, is_stripped: bool, decoder: IsolatedDecoder
) -> None:
    video, nvdec = memoryview(video_of("x264")), capabilities(reads)
    assert bool(decoder.plan(video, {}, strip=Strip.WHERE_SAFE, nvdec=nvdec)["stripped_bytes"]) == is_stripped
    part = {"start_seconds": 1.0, "end_seconds": 1.2}  # pays
    assert decoder.plan(video, part, strip=Strip.WHERE_SAFE, nvdec=nvdec)["stripped_bytes"]
    assert not decoder.plan(video, part, strip=Strip.NEVER, nvdec=nvdec)["stripped_bytes"]


def test_what_is_measured_is_stripped_only_where_it_pays(decoder: IsolatedDecoder) -> None:
    """FFmpeg decodes it, whatever NVDEC reads."""
    video, asked = memoryview(video_of("x264")), {"signals": "motion,metrics"}
    for nvdec, is_stripped in ((None, True), (capabilities("h264"), False)):
        plan = decoder.plan(video, asked, nvdec=nvdec, served=tuple(Signal))
        assert bool(plan["stripped_bytes"]) == is_stripped


def test_stripping_does_not_pay_where_decoding_would_begin_earlier(decoder: IsolatedDecoder) -> None:
    """FFmpeg begins at a recovery point of H.264, a stripped file at an instantaneous refresh."""
    options = {"g": "20", "bf": "3", "preset": "ultrafast", "x264-params": "open-gop=1:scenecut=0"}
    video = memoryview(encode(100, width=320, height=180, container="matroska", options=options))
    part = {"start_seconds": 2.5, "end_seconds": 2.7}
    assert not decoder.plan(video, part, strip=Strip.WHERE_IT_PAYS)["stripped_bytes"]
    assert decoder.plan(video, part, strip=Strip.FOR_FFMPEG)["stripped_bytes"]


def test_stripping_pays_where_frames_need_not_be_decoded(decoder: IsolatedDecoder) -> None:
    video = memoryview(encode(60, width=320, height=180, codec="mpeg4", options={"bf": "2", "g": "60"}))
    assert decoder.plan(video, FEW, strip=Strip.WHERE_IT_PAYS)["stripped_bytes"]


@pytest.mark.parametrize(
    ("content", "change"),
    [
        (b"", lambda indices: indices),
        (b"no video", lambda indices: indices),
        (video_of("x264")[:2000], lambda indices: indices),
        (None, lambda indices: indices + 1000),
        (None, lambda indices: np.append(indices[:-1], indices[-1] + 1000)),
    ],
    ids=["empty", "text", "truncated", "beyond the end", "one beyond the end"],
)
def test_what_is_not_found_in_the_stripped_video_is_decoded_from_the_video(
    content: bytes | None, change: Any, decoder: IsolatedDecoder
) -> None:
    video = video_of("x264")
    plan = decoder.plan(memoryview(video), FEW)
    expected = decode(decoder, video, plan)
    given = memoryview(plan["stripped_video"] if content is None else content)
    indices = change(np.array(plan["stripped_indices"]))
    found = decode(decoder, video, plan, stripped_video=given, stripped_indices=indices)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("indices", "why"),
    [
        ([0, 1], "there are 2 indices of a stripped video; their number must be that of the frame indices, "),
        (lambda wanted: [-1, *range(1, wanted)], "the indices of a stripped video must ascend from 0 on"),
        (lambda wanted: [0, 0, *range(2, wanted)], "the indices of a stripped video must ascend from 0 on"),
    ],
)
def test_impossible_indices_are_refused(indices: Any, why: str, decoder: IsolatedDecoder) -> None:
    video = video_of("x264")
    plan = decoder.plan(memoryview(video), FEW)
    given = np.array(indices(len(plan["frame_indices"])) if callable(indices) else indices)
    with pytest.raises(InvalidParameter, match=why):
        decode(decoder, video, plan, stripped_video=plan["stripped_video"], stripped_indices=given)


def test_a_stripped_video_has_the_limits_of_a_video() -> None:
    video, large = video_of("x264"), bomb(320, 240, 200)
    made = IsolatedDecoder(Limits(max_bytes=30_000, max_decoded_pixels=10_000_000, max_decoded_pixels_per_byte=1))
    try:
        plan = made.plan(memoryview(video), FEW)
        given = {"stripped_indices": np.arange(len(plan["frame_indices"])) + 199 - len(plan["frame_indices"])}
        with pytest.raises(InvalidVideo, match=r"more than 0\.0 gigapixels were decoded") as raised:
            decode(made, video, plan, stripped_video=memoryview(large), **given)
        assert raised.value.reason is Reason.TOO_LARGE
        with pytest.raises(InvalidVideo, match="the maximum is") as raised:
            decode(made, video, plan, stripped_video=memoryview(bytes(30_001)), **given)
        assert raised.value.reason is Reason.TOO_LARGE
    finally:
        made.close()


def test_a_damaged_video_is_not_stripped(decoder: IsolatedDecoder) -> None:
    video = video_of("x264, open groups")
    plan = decoder.plan(memoryview(video[: len(video) * 3 // 4]), {"allow_damaged": 1})
    assert plan["decoded_share"] < 1
    assert len(plan["stripped_video"]) == 0


def sealable(content: bytes) -> int:
    descriptor = os.memfd_create("stripped", os.MFD_ALLOW_SEALING)
    os.write(descriptor, content)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SIZE_SEALS)
    return descriptor


def test_nothing_can_change_a_stripped_video_that_the_parent_has() -> None:
    descriptor = sealable(b"0123456789")
    found = _sealed(descriptor, 4)
    assert found.tobytes() == b"0123"
    with pytest.raises(PermissionError):
        os.pwrite(descriptor, b"x", 0)
    with pytest.raises(PermissionError):
        mmap.mmap(descriptor, 4)
    os.close(descriptor)
    assert found.tobytes() == b"0123"
    assert len(_sealed(-1, 0)) == 0


@pytest.mark.parametrize("how", ["mapping", "seal"])
def test_a_worker_that_keeps_a_hand_on_the_stripped_video_is_compromised(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor = sealable(b"0123456789")
    mapped = mmap.mmap(descriptor, 4) if how == "mapping" else None
    if how == "seal":
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL)
    with pytest.raises(ValueError, match="cannot be sealed"):
        _sealed(descriptor, 4)
    made = IsolatedDecoder(Limits())
    made.start()
    monkeypatch.setattr("video.isolation.CONTENT_SEALS", CONTENT_SEALS | 0x4000)  # which no kernel knows
    ended: list[End | None] = []
    monkeypatch.setattr(made, "_stop", ended.append)
    with pytest.raises(DecoderFailed, match="the decoder process returned an invalid response"):
        made.plan(memoryview(video_of("x264")), {})
    assert ended == [End.MISBEHAVED]
    monkeypatch.undo()
    made.close()
    if mapped is not None:
        mapped.close()
    os.close(descriptor)


def test_a_stripped_video_that_has_no_room_is_none() -> None:
    video = video_of("x264")
    descriptor = os.memfd_create("stripped", os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, 3000)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SIZE_SEALS)
    file = BytesIO(video)
    with open(descriptor, "r+b", buffering=0) as out, open_video(file) as (container, stream):
        table = read_frame_table(container, stream, noted=True)
        wanted = sample(table.timestamps, table.info.duration_seconds, Parameters()).frame_indices
        found = stripped_video(file, container, stream, table, wanted, out, Strip.WHERE_SAFE, DEFAULT_LIMITS)
    assert found == NOT_STRIPPED


def test_the_bound_of_a_stripped_video() -> None:
    assert max_stripped_bytes(1000) == 1000 + MAX_STRIPPED_MORE
