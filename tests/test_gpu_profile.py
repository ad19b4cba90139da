"""The configurations of the gpu profile, served on a CPU beside the cpu profile.

DALI's decoder for CPUs, which reads VP8, VP9 and MJPEG, stands for NVDEC. It is also said to read HEVC of 10 bits,
which it does not: such a file is one that DALI chokes on.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("nvidia.dali", reason="`make test` installs DALI")

from tritonclient.utils import InferenceServerException

from client import Client, InvalidRequest, Score
from export.networks import export_networks
from fixtures.bombs import bomb
from fixtures.several_streams import Video, encode_several
from fixtures.synthetic import encode, transcode
from server import Server, Settings, running
from tests.conftest import copy_repository, serve_gpu_profile_on_cpu
from tests.metrics import risen, scrape
from tests.test_bad_input import call, to_decode
from tests.test_ensemble import infer
from tests.waiting import wait_for

FAST_VP9: dict[str, Any] = {"codec": "libvpx-vp9", "container": "webm", "options": {"cpu-used": "8"}}
CHOKES: dict[str, Any] = {"codec": "libx265", "pixel_format": "yuv420p10le", "options": {"preset": "ultrafast"}}
"""HEVC of 10 bits."""
NVDEC_READS = "vp8,vp9,mjpeg,hevc/10"
pytestmark = pytest.mark.slow  # the server alone takes a minute; its parts have quick tests
LOGS_OF_STARTS: list[str] = []
"""Of that server, which keeps only its last lines."""


@pytest.fixture(scope="module")
def gpu_profile(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoints: tuple[Path, Path]) -> Iterator[Server]:
    """A server with the configurations of the gpu profile, and instances on the CPU.

    Its warmup, too, but for the video in it: what DALI decodes on a CPU is another codec.
    """
    repository = copy_repository(tmp_path_factory.mktemp("gpu") / "model_repository")
    motion, camera = map(str, tiny_checkpoints)
    export_networks(motion, camera, repository, lambda _: None)
    directory = repository / "video_decode_nvdec"
    video = encode(16, codec="libvpx-vp9", container="webm", width=256, height=256)
    size = (directory / "warmup" / "VIDEO").stat().st_size
    (directory / "warmup" / "VIDEO").write_bytes(video)
    replace(directory / "config.pbtxt", f"dims: [ {size} ]", f"dims: [ {len(video)} ]")
    sampling = repository / "video_sampling" / "config.pbtxt"
    replace(sampling, '"8000000000"', '"220000000"')
    replace(sampling, '"mixed"', '"cpu"')
    replace(sampling, 'string_value: "auto"', f'string_value: "{NVDEC_READS}"')
    # For machines with few cores.
    replace(repository / "video_decode" / "config.pbtxt", "count: 12", "count: 3")
    replace(directory / "config.pbtxt", "count: 7", "count: 2")
    models = [path.parent.name for path in repository.glob("*/config.pbtxt")]
    serve_gpu_profile_on_cpu(repository, models, warmup=True)
    with running(Settings.on_free_ports(repository)) as started:
        LOGS_OF_STARTS.append(started.log)
        yield started


def replace(path: Path, before: str, after: str) -> None:
    assert path.read_text().count(before) == 1
    path.write_text(path.read_text().replace(before, after))


@pytest.fixture
def gpu(gpu_profile: Server) -> Iterator[Client]:
    """A client of that server."""
    with Client(gpu_profile.url, timeout_seconds=120) as connected:
        yield connected


def assert_same(found: Score, expected: Score) -> None:
    """The answers of both profiles, whose networks compute in fp16 and in float32, on frames that differ by a level.

    The tests' networks have few tokens, so a level moves a probability by as much as 0.012.
    """
    assert list(vars(found.motion).values()) == pytest.approx(list(vars(expected.motion).values()), abs=0.01)
    assert len(found.camera) == len(expected.camera) > 0
    for ours, theirs in zip(found.camera, expected.camera, strict=True):
        assert list(ours.probabilities.values()) == pytest.approx(list(theirs.probabilities.values()), abs=0.02)
    assert found.info == expected.info


def logged(server: Server, request_id: str, model: str) -> dict[str, Any]:
    """The line in the request log, which comes a moment after the answer."""

    def lines() -> list[dict[str, Any]]:
        said = [json.loads(text) for text in server.log.splitlines() if text.startswith("{")]
        return [entry for entry in said if (entry.get("request_id"), entry["model"]) == (request_id, model)]

    wait_for(lambda: bool(lines()))
    return lines()[-1]


def test_the_gpu_profile_on_a_cpu_answers_as_the_cpu_profile(
    gpu: Client, client: Client, reference_videos: dict[str, Path]
) -> None:
    video = transcode(reference_videos["bigbuckbunny"], 70, codec="libvpx-vp9", container="webm", width=640, height=360)
    found, expected = gpu.score(video), client.score(video)
    assert_same(found, expected)
    assert (found.decoder, expected.decoder) == ("nvdec", "ffmpeg")
    assert (found.weights.precision, expected.weights.precision) == ("fp16", "f32")


def two_streams() -> bytes:
    """Of which DALI itself would show another one than the cpu profile."""
    small, large = Video(10, 64, 48, "libvpx-vp9"), Video(20, 128, 96, "libvpx-vp9")
    return encode_several([small, large], "matroska")


@pytest.mark.parametrize(
    ("options", "decoder", "why"),
    [
        pytest.param(FAST_VP9, "nvdec", None, id="vp9"),
        pytest.param(FAST_VP9 | {"codec": "libvpx"}, "nvdec", None, id="vp8"),
        pytest.param({"codec": "mjpeg", "container": "mov"}, "nvdec", None, id="mjpeg"),
        pytest.param({"container": "mpegts"}, "ffmpeg", "NVDEC does not read h264 4:2:0 of 8 bits", id="h264"),
        pytest.param(
            {"codec": "libx265", "options": {"preset": "ultrafast"}},
            "ffmpeg",
            "NVDEC does not read hevc 4:2:0 of 8 bits",
            id="hevc",
        ),
        pytest.param(
            {"codec": "libsvtav1", "options": {"preset": "12"}},
            "ffmpeg",
            "NVDEC does not read av1 4:2:0 of 8 bits",
            id="av1",
        ),
        pytest.param({"codec": "mpeg4"}, "ffmpeg", "NVDEC does not read mpeg4 4:2:0 of 8 bits", id="mpeg4"),
        pytest.param(
            {"codec": "prores_ks", "container": "mov", "pixel_format": "yuv422p10le"},
            "ffmpeg",
            "NVDEC does not read prores 4:2:2 of 10 bits",
            id="prores",
        ),
        pytest.param(
            FAST_VP9 | {"pixel_format": "yuv444p"},
            "ffmpeg",
            "NVDEC does not read vp9 4:4:4 of 8 bits",
            id="vp9 4:4:4",
        ),
    ],
)
def test_each_video_goes_to_the_decoder_that_reads_it_and_the_answer_is_that_of_the_cpu_profile(
    options: dict[str, Any],
    decoder: str,
    why: str | None,
    gpu: Client,
    gpu_profile: Server,
    client: Client,
    tmp_path: Path,
) -> None:
    name = f"{decoder} {why}"
    (tmp_path / name).write_bytes(encode(20, **options))
    found = gpu.score(tmp_path / name)
    assert_same(found, client.score(tmp_path / name))
    assert found.decoder == decoder
    sampling = logged(gpu_profile, name, "video_sampling")
    assert (sampling["decoder"], sampling.get("why_not_nvdec")) == (decoder, why)
    assert logged(gpu_profile, name, "video_decode")["decoder"] == decoder


def test_of_several_streams_the_one_that_is_shown_is_scored(gpu: Client, client: Client) -> None:
    assert_same(gpu.score(two_streams()), client.score(two_streams()))


def test_a_damaged_video_is_scored_by_ffmpeg(gpu: Client, client: Client) -> None:
    video = encode(100, **FAST_VP9)[:-6000]
    found, expected = (one.score(video, allow_damaged=True) for one in (gpu, client))
    assert_same(found, expected)
    assert found.decoder == "ffmpeg"
    assert 0.5 < (found.info.decoded_share or 0) < 1


def test_a_file_that_dali_chokes_on_costs_its_request_nothing_but_time_and_the_others_nothing(
    gpu: Client, gpu_profile: Server, client: Client, tmp_path: Path
) -> None:
    good, bad = encode(40, **FAST_VP9), tmp_path / "chokes.mp4"
    bad.write_bytes(encode(40, **CHOKES))
    first = gpu.score(good)
    before = scrape(gpu_profile)
    with ThreadPoolExecutor(6) as pool:
        scores = list(pool.map(gpu.score, [good, bad, good, bad, good, good]))
    for score in (scores[index] for index in (0, 2, 4, 5)):
        assert_same(score, first)  # the last digit depends on the batch of the networks
        assert score.decoder == "nvdec"
    for score in (scores[1], scores[3]):
        assert_same(score, client.score(bad))
        assert score.decoder == "ffmpeg"
    after = scrape(gpu_profile)
    assert risen("video_motion_nvdec_failures_total", before, after) == {("video_decode",): 2}
    assert risen("video_motion_videos_total", before, after) == {
        ("none", "video_sampling", "ok", "none"): 6,
        ("nvdec", "video_decode", "ok", "none"): 4,
        ("ffmpeg", "video_decode", "ok", "none"): 2,
    }
    entry = logged(gpu_profile, "chokes.mp4", "video_decode")
    assert "DALI" in entry["nvdec_error"]
    assert (entry["outcome"], entry["decoder"]) == ("ok", "ffmpeg")
    assert logged(gpu_profile, "chokes.mp4", "video_sampling")["decoder"] == "nvdec"  # as it was planned


@pytest.mark.parametrize("outputs", [["MOTION_SCORES"], ["CAMERA_PROBABILITIES"], ["DECODER"], ["VIDEO_INFO"]])
def test_a_part_of_the_outputs_comes_from_nvdec_too(outputs: list[str], gpu_profile: Server) -> None:
    video = encode(20, **FAST_VP9)
    everything, some = infer(gpu_profile, video), infer(gpu_profile, video, outputs)
    assert everything["DECODER"].tolist() == [b"nvdec"]
    assert set(some) == set(outputs)
    np.testing.assert_array_equal(some[outputs[0]], everything[outputs[0]])


def test_a_small_file_with_too_much_to_decode_does_not_reach_dali(gpu: Client, client: Client) -> None:
    for profile in (gpu, client):
        with pytest.raises(InvalidRequest, match=r"70\.8 gigapixels; the max") as raised:
            profile.score(bomb(4096, 2160, 8000))
        assert raised.value.reason == "too_large"


@pytest.mark.parametrize("model", ["video_decode", "video_decode_nvdec"])
@pytest.mark.parametrize(("frames", "motion", "camera"), [(16, 0, 0), (2_000_000, 16, 16), (16, 16, 528), (8, 16, 15)])
def test_what_no_plan_asks_for_does_not_reach_dali(
    frames: int, motion: int, camera: int, model: str, gpu_profile: Server
) -> None:
    nothing = {"FRAME_ORDER": np.array([[-1]], np.int32)} if model == "video_decode_nvdec" else {}
    with pytest.raises(InferenceServerException, match=r"orders? |frame indices") as raised:
        call(gpu_profile, model, to_decode(frames, motion, camera, **nothing), with_key=True)
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert raised.value.message().strip().endswith(" [invalid_parameter]")


def on_nvdec(stripped: bytes, indices: list[int]) -> dict[str, np.ndarray]:
    """A call of video_decode with a file for NVDEC, as only holders of the key can make it."""
    return to_decode(
        16,
        16,
        16,
        STRIPPED_VIDEO=np.frombuffer(stripped, np.uint8)[None],
        STRIPPED_INDICES=np.array([indices], np.int32).reshape(1, -1),
        PLANNED_DECODER=np.array([[b"nvdec"]], object),
    )


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([0, 1], "there are 2 indices of a stripped video; their number must be that of the frame indices, 16"),
        ([*range(15), 3], "the indices of a stripped video must ascend from 0 on"),
    ],
)
def test_indices_of_a_stripped_video_that_do_not_fit_are_the_callers_mistake(
    indices: list[int], message: str, gpu_profile: Server
) -> None:
    with pytest.raises(InferenceServerException, match=message) as raised:
        call(gpu_profile, "video_decode", on_nvdec(b"x", indices), with_key=True)
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_without_a_stripped_video_nothing_is_planned_for_nvdec(gpu_profile: Server) -> None:
    before = scrape(gpu_profile)
    answer = call(gpu_profile, "video_decode", on_nvdec(b"", []), with_key=True)
    assert answer.as_numpy("DECODER").tolist() == [b"ffmpeg"]
    assert risen("video_motion_nvdec_failures_total", before, scrape(gpu_profile)) == {}


@pytest.mark.usefixtures("gpu_profile")
def test_the_log_says_once_what_nvdec_reads() -> None:
    lines = [line for line in LOGS_OF_STARTS[-1].splitlines() if "NVDEC reads" in line]
    assert len(lines) == 1
    assert lines[0].startswith("video_sampling: NVDEC reads vp8 4:2:0 of 8 bits up to 8192 x 8192, ")
    assert lines[0].endswith(f"(NVDEC_READS is {NVDEC_READS})")


def test_a_video_whose_frames_are_more_than_the_gpu_may_hold_goes_to_ffmpeg(gpu: Client) -> None:
    large = encode(80, width=1920, height=1080, **FAST_VP9)
    assert gpu.score(large).decoder == "ffmpeg"
    assert gpu.score(large, max_clips=1).decoder == "nvdec"
