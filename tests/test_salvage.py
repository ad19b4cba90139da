"""Damaged and truncated videos, for requests that allow them: the right frames of what is left, and how many."""

import json
import re
from collections.abc import Callable, Container, Iterable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from _pytest.mark import ParameterSet
from av.container import InputContainer
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from client import Client, InvalidRequest
from client._commands.score import main
from client._commands.show import table as as_shown
from client._sdk.parameters import given
from client._tables.table import read_metadata, read_table
from fixtures.hostile import seed
from fixtures.synthetic import decode_all, encode
from server import Server
from tests.test_bad_input import BAD, faststart
from tests.test_ensemble import infer
from video import InvalidParameter, InvalidVideo, IsolatedDecoder, Limits, Parameters
from video.container import open_video, read_frame_table
from video.decoding import Decoded
from video.errors import Reason
from video.gpu_decoder import choose
from video.nvdec_capabilities import capabilities
from video.resize import crop, stretch
from video.salvage import which_decode

pytestmark = pytest.mark.heavy

FRAMES = 100
SMALL: dict[str, Any] = {"width": 64, "height": 48}
FAST = {"preset": "ultrafast", "g": "10"}
KINDS: dict[str, Callable[[], bytes]] = {
    "mp4": lambda: faststart(encode(FRAMES, **SMALL, options=FAST)),
    "mp4, b-frames": lambda: faststart(encode(FRAMES, **SMALL, options={"preset": "medium", "g": "12"})),
    "mov": lambda: faststart(encode(FRAMES, **SMALL, codec="mjpeg", container="mov")),
    "mkv": lambda: encode(FRAMES, **SMALL, container="matroska", options=FAST),
    "avi": lambda: encode(FRAMES, **SMALL, codec="mpeg4", container="avi"),
    "wmv": lambda: encode(FRAMES, **SMALL, codec="wmv2", container="asf"),
    "flv": lambda: encode(FRAMES, **SMALL, codec="flv", container="flv"),
}
"""Videos of which a truncated file lets the share that is left be known."""
UNKNOWN: dict[str, Callable[[], bytes]] = {
    "ts": lambda: encode(FRAMES, **SMALL, container="mpegts", options=FAST),
    "gif": lambda: encode(FRAMES, width=32, height=32, codec="gif", container="gif", pixel_format="rgb8"),
}
"""Videos of which it does not: the share is that of the frames in the file."""


@cache
def whole(kind: str) -> bytes:
    return (KINDS | UNKNOWN)[kind]()


@pytest.fixture(scope="module")
def decoder() -> Iterator[IsolatedDecoder]:
    made = IsolatedDecoder(Limits(timeout_seconds=20))
    yield made
    made.close()


def salvaged(decoder: IsolatedDecoder, video: bytes, **parameters: object) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """The plan and the clips (frames, 224, 224, 3) of a video that may be damaged."""
    content = memoryview(video)
    plan = decoder.plan(content, {"allow_damaged": 1} | parameters)
    indices, motion, camera = (np.array(plan[name]) for name in ("frame_indices", "motion_order", "camera_order"))
    clips = decoder.decode(content, indices, motion, camera, 224, allow_damaged=True)
    return plan, np.concatenate(clips[:2]).reshape(-1, 224, 224, 3)


def as_in(video: bytes, plan: dict[str, Any]) -> NDArray[np.uint8]:
    """The clips of a plan, picked from all frames of a video, (frames, 224, 224, 3)."""
    every = decode_all(video)
    frames = [every[index] for index in plan["frame_indices"]]
    motion = [stretch(frames[place]) for place in plan["motion_order"]]
    return np.stack([*motion, *(crop(frames[place], 224) for place in plan["camera_order"])])


def some_heavy(kinds: Iterable[str], quick: Container[str]) -> list[ParameterSet]:
    """All `kinds` as parameters of a test; those that are not in `quick` are left out of the quick tests."""
    return [pytest.param(kind, marks=() if kind in quick else pytest.mark.heavy) for kind in kinds]


@pytest.mark.parametrize("share", [0.75, pytest.param(0.9, marks=pytest.mark.heavy)])
@pytest.mark.parametrize("kind", some_heavy([*KINDS, *UNKNOWN], ("mp4", "avi", "ts")))
def test_what_is_left_of_a_truncated_video_is_scored(kind: str, share: float, decoder: IsolatedDecoder) -> None:
    video = whole(kind)[: int(len(whole(kind)) * share) - 3]
    with pytest.raises(InvalidVideo, match="truncated"):
        decoder.plan(memoryview(video), {})
    plan, clips = salvaged(decoder, video)
    duration, frames, *_ = plan["info"]
    assert FRAMES * (share - 0.13) <= frames <= FRAMES * share + 11
    assert duration == pytest.approx(frames / 25, abs=0.17)
    assert 0.5 <= plan["decoded_share"] < 1
    if kind in KINDS:
        assert plan["decoded_share"] == pytest.approx(share, abs=0.13)
    assert plan["clip_seconds"][-1][1] <= duration + 0.01
    assert np.array_equal(clips, as_in(whole(kind), plan))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "avi"])
def test_less_than_half_is_refused(kind: str, decoder: IsolatedDecoder) -> None:
    video = whole(kind)[: int(len(whole(kind)) * 0.38)]
    with pytest.raises(InvalidVideo, match=r"^only \d+ of the video's \d+ frames can be decoded, less than") as raised:
        salvaged(decoder, video)
    assert raised.value.reason is Reason.DAMAGED


@pytest.mark.parametrize(
    "kind", some_heavy([*KINDS, *UNKNOWN, "vc1", "theora", "intra refresh", "edit list"], ("mp4", "vc1"))
)
def test_a_whole_video_is_sampled_as_without_asking(kind: str, decoder: IsolatedDecoder) -> None:
    others = {
        "vc1": lambda: seed("wmv vc1"),
        "theora": lambda: seed("ogv theora"),
        "intra refresh": lambda: encode(
            60, **SMALL, container="matroska", options={"g": "20", "x264-params": "intra-refresh=1:bframes=0"}
        ),
        "edit list": lambda: encode(60, **SMALL, pts=list(range(50, 110))),
    }
    video = others[kind]() if kind in others else whole(kind)
    strict = decoder.plan(memoryview(video), {})
    plan, clips = salvaged(decoder, video)
    assert np.array_equal(plan.pop("stripped_video"), strict.pop("stripped_video"))
    assert plan == strict
    assert plan["decoded_share"] == 1
    assert np.array_equal(clips, as_in(video, plan))


def packets(video: bytes) -> list[tuple[int, int, bool]]:
    """Position, size and whether it is a keyframe of each packet."""
    with cast(InputContainer, av.open(BytesIO(video))) as container:
        return [(each.pos or 0, each.size, each.is_keyframe) for each in container.demux(video=0) if each.size]


def zeroed(video: bytes, first: int, count: int) -> bytes:
    """The video with `count` packets, from number `first` on, overwritten with zeros, as in an unfinished download."""
    for position, size, _ in packets(video)[first : first + count]:
        video = video[:position] + bytes(size) + video[position + size :]
    return video


def test_a_hole_costs_the_frames_up_to_the_next_keyframe(decoder: IsolatedDecoder) -> None:
    video = whole("mp4")
    assert [number for number, (*_, key) in enumerate(packets(video)) if key] == list(range(0, 100, 10))
    damaged = zeroed(video, 33, 4)
    plan, clips = salvaged(decoder, damaged)
    assert plan["decoded_share"] == pytest.approx(0.93)
    assert not set(plan["frame_indices"]) & set(range(33, 40))
    assert {32, 40} <= set(plan["frame_indices"])
    assert np.array_equal(clips, as_in(video, plan))
    assert plan["info"][:2] == [4.0, 100]


def test_a_hole_in_pictures_that_refer_to_none_costs_only_them(decoder: IsolatedDecoder) -> None:
    video = whole("mov")
    plan, clips = salvaged(decoder, zeroed(video, 20, 5))
    assert plan["decoded_share"] == pytest.approx(0.95)
    assert not set(plan["frame_indices"]) & set(range(20, 25))
    assert np.array_equal(clips, as_in(video, plan))


@pytest.mark.parametrize("kept", [0, 3])
def test_frames_that_are_missing_at_the_start_are_not_sampled(kept: int, decoder: IsolatedDecoder) -> None:
    """The decoder skips an HEVC keyframe whose header is wrong, and all that refers to it, without an error."""
    options = {"preset": "ultrafast", "x265-params": "keyint=10:min-keyint=10:scenecut=0:open-gop=0:log-level=0"}
    video = encode(40, **SMALL, codec="libx265", options=options)
    position, size, _ = packets(video)[0]
    damaged = bytearray(video)
    damaged[position + 4 + kept : position + size] = bytes(size - 4 - kept)
    plan, _ = salvaged(decoder, bytes(damaged))
    assert 0.5 <= plan["decoded_share"] < 1
    assert min(plan["frame_indices"]) >= 10


def shown_at(video: bytes) -> dict[int | None, bytes]:
    """The frames of a video by their pts."""
    with cast(InputContainer, av.open(BytesIO(video))) as container:
        return {frame.pts: frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(video=0)}


@pytest.mark.heavy
@pytest.mark.parametrize("lost", [20, 47, 110, 137])  # 47 and 137 are of keyframes
def test_a_transport_stream_that_lost_a_packet_is_scored_on_the_rest(lost: int, decoder: IsolatedDecoder) -> None:
    video = whole("ts")
    starts = [start for start in range(0, len(video), 188) if video[start + 1] & 0x1F == 1 and not video[start + 2]]
    damaged = video[: starts[lost]] + video[starts[lost] + 188 :]
    with pytest.raises(InvalidVideo, match="reading stopped at frame"):
        decoder.plan(memoryview(damaged), {})
    with open_video(BytesIO(damaged), allow_damaged=True) as (container, stream):
        table = read_frame_table(container, stream, damaged=BytesIO(damaged))
    decodes = which_decode(BytesIO(damaged), table, Limits(), Decoded())
    assert table.pts is not None
    right, found = shown_at(video), shown_at(damaged)
    assert all(found[pts] == right[pts] for pts in table.pts[decodes].tolist())
    assert decodes.sum() >= 80
    plan, _ = salvaged(decoder, damaged)
    assert plan["decoded_share"] == decodes.sum() / (len(decodes) + table.frames_missing)
    assert decodes[plan["frame_indices"]].all()


def test_a_part_before_the_damage_is_scored_as_without_asking(decoder: IsolatedDecoder) -> None:
    damaged = zeroed(whole("mp4"), 33, 4)
    plan, _ = salvaged(decoder, damaged, start_seconds=0.0, end_seconds=1.0)
    assert plan["decoded_share"] == 1  # the wanted part is whole, which is all that was looked at
    strict = decoder.plan(memoryview(damaged), {"start_seconds": 0.0, "end_seconds": 1.0})
    assert np.array_equal(plan.pop("stripped_video"), strict.pop("stripped_video"))
    assert plan == strict


@pytest.mark.parametrize("kind", [kind for kind in BAD if "cut" not in kind and "beyond" not in kind])
def test_what_is_no_damage_is_refused_as_before(kind: str, decoder: IsolatedDecoder) -> None:
    make, sentence = BAD[kind]
    with pytest.raises(InvalidVideo) as raised:
        decoder.plan(memoryview(make()), {"allow_damaged": 1})
    assert sentence in str(raised.value)


def test_an_mp4_without_its_index_stays_refused(decoder: IsolatedDecoder) -> None:
    video = encode(60)
    with pytest.raises(InvalidVideo, match="the file has no moov box, the index of an mp4: it is truncated"):
        decoder.plan(memoryview(video[: video.index(b"moov") - 4]), {"allow_damaged": 1})


@pytest.mark.parametrize(("value", "taken"), [(True, 1), (False, 0), (1, 1), (0, 0), ("1", 1), (1.0, 1)])
def test_the_parameter_is_a_switch(value: object, taken: int) -> None:
    assert Parameters.from_request({"allow_damaged": value}).allow_damaged == taken


@pytest.mark.parametrize("value", [2, -1, 0.5, "yes", "", None, []])
def test_another_value_is_named(value: object) -> None:
    with pytest.raises(InvalidParameter, match=r"allow_damaged is .*, it must be a whole number from 0 to 1"):
        Parameters.from_request({"allow_damaged": value})


def test_other_parameters_are_still_no_switches() -> None:
    with pytest.raises(InvalidParameter, match="max_clips is True"):
        Parameters.from_request({"max_clips": True})


def test_the_gpu_decoder_gets_no_damaged_file(decoder: IsolatedDecoder) -> None:
    reads = capabilities("h264,mjpeg")
    for video, expected in (
        (zeroed(whole("mov"), 20, 5), r"the file is damaged: \d\d% of it decodes"),
        (whole("mp4")[:-2000], r"the file is damaged: \d\d% of it decodes"),
        (whole("mp4"), "None"),
    ):
        plan = decoder.plan(memoryview(video), {"allow_damaged": 1})
        choice = choose(plan, len(video), reads, decoder.limits, 10**9)
        assert choice.decoder == ("nvdec" if expected == "None" else "ffmpeg")
        assert re.fullmatch(expected, str(choice.why_not_nvdec))


def test_the_client_sends_a_switch_as_a_number() -> None:
    assert given({"allow_damaged": True}) == {"allow_damaged": 1}
    assert given({"allow_damaged": False}) == {"allow_damaged": 0}


def test_a_truncated_video_is_scored_on_request_only(server: Server, client: Client) -> None:
    video = whole("mp4")[: len(whole("mp4")) * 3 // 4]
    with pytest.raises(InvalidRequest, match="bytes are missing at its end"):
        client.score(video)
    with pytest.raises(InvalidRequest, match="bytes are missing at its end"):
        client.score(video, allow_damaged=False)
    score = client.score(video, allow_damaged=True)
    assert score.info.decoded_share == pytest.approx(0.74, abs=0.05)
    assert score.as_dict()["info"]["decoded_share"] == score.info.decoded_share
    assert f", damaged: {score.info.decoded_share:.0%} decodes" in as_shown("cut.mp4", score)
    # What is left is scored as a video of these frames is.
    outputs = infer(server, video, allow_damaged=True)
    assert outputs["DECODED_SHARE"].shape == (1, 1)
    assert outputs["DECODED_SHARE"][0, 0] == pytest.approx(score.info.decoded_share)
    with pytest.raises(InferenceServerException, match="less than half: the file is damaged"):
        infer(server, video[: len(video) // 3], allow_damaged=1)


def test_a_good_video_has_the_same_answer_if_damage_is_allowed(client: Client) -> None:
    plain, allowed = client.score(whole("mp4")), client.score(whole("mp4"), allow_damaged=True)
    assert (plain.info.decoded_share, allowed.info.decoded_share) == (None, 1.0)
    assert "decoded_share" not in plain.as_dict()["info"]
    assert "damaged" not in as_shown("good.mp4", allowed)
    assert (plain.motion, plain.camera) == (allowed.motion, allowed.camera)


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_a_run_retries_its_truncated_videos(suffix: str, server: Server, tmp_path: Path) -> None:
    (tmp_path / "good.mp4").write_bytes(whole("mp4"))
    (tmp_path / "cut.mp4").write_bytes(whole("mp4")[: len(whole("mp4")) * 3 // 4])
    (tmp_path / "text.mp4").write_text("not a video\n")
    output = tmp_path / f"scores{suffix}"
    arguments = ["--output", str(output), "--url", server.url, "--max-clips", "1"]
    names = [str(tmp_path / name) for name in ("good.mp4", "cut.mp4", "text.mp4")]
    assert main([*names, *arguments]) == 1
    assert [*map(bool, read_table(output).column("error").to_pylist())].count(True) == 2
    assert read_table(output).column("decoded_share").to_pylist() == [None] * 3
    assert main([*arguments, "--retry-failed", "--allow-damaged"]) == 1
    rows = {Path(row["video"]).name: row for row in read_table(output).to_pylist()}
    assert rows["cut.mp4"]["error"] is None
    assert rows["cut.mp4"]["decoded_share"] == pytest.approx(0.74, abs=0.05)
    assert rows["cut.mp4"]["clips"]
    assert (rows["good.mp4"]["decoded_share"], rows["text.mp4"]["reason"]) == (None, "not_a_video")
    if suffix != ".csv":
        assert read_metadata(output).parameters == {"max_clips": 1}


def test_the_command_prints_the_share(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cut.mp4").write_bytes(whole("mp4")[: len(whole("mp4")) * 3 // 4])
    arguments = [str(tmp_path / "cut.mp4"), "--url", server.url, "--format", "json"]
    assert main(arguments) == 1
    assert "bytes are missing at its end" in capsys.readouterr().err
    assert main([*arguments, "--allow-damaged"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["info"]["decoded_share"] == pytest.approx(0.74, abs=0.05)
    assert printed["parameters"] == {"allow_damaged": 1}
