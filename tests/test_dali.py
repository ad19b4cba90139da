"""The GPU profile's decoding: the graph of `dali.py` run on the CPU, beside the cpu profile's decoder.

On a CPU DALI decodes VP9 and MJPEG only; what else the GPU profile reads is for a GPU to show.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.stream import Disposition

pytest.importorskip("nvidia.dali", reason="`make test` installs DALI")

from tritonclient.utils import InferenceServerException

from backends.dali_definition import pipeline_definition
from bench.gpu.decoding import both_decoders, frame_differences
from client import Client, InvalidRequest, ServerError
from export.networks import export_networks
from fixtures.bombs import bomb
from fixtures.remuxed import flagged, remux, with_hidden_frames
from fixtures.several_streams import Video, encode_several
from fixtures.synthetic import encode, transcode
from server import Server, Settings, running
from tests.conftest import MODEL_REPOSITORY, copy_repository, serve_gpu_profile_on_cpu
from tests.test_bad_input import call, to_decode
from tests.test_orientation import ORIENTATIONS, matrix
from video import Parameters
from video.container import open_video
from video.stream_choice import dali_stream

FRAMES = 60
KINDS = [
    ("libvpx-vp9", "webm", 320, 180, 12),
    ("libvpx-vp9", "mp4", 640, 360, Fraction(30000, 1001)),
    ("libvpx-vp9", "matroska", 720, 1280, 60),
    ("mjpeg", "mov", 320, 180, 12),
    ("mjpeg", "matroska", 640, 360, 25),
    ("mjpeg", "mp4", 720, 1280, 50),
]
PARAMETERS = Parameters(clip_seconds=0.7)


def definition(directory: Path, shortest_edge: int) -> Callable[..., Any]:
    """The pipeline of `dali.py`, in a model repository whose classifier wants this shortest edge."""
    (directory / "video_decode" / "1").mkdir(parents=True)
    path = Path(shutil.copy(MODEL_REPOSITORY / "video_decode" / "1" / "dali.py", directory / "video_decode" / "1"))
    (directory / "weights.json").write_text(json.dumps({"shortest_edge": shortest_edge}))
    return pipeline_definition(path)


@pytest.mark.parametrize(
    ("codec", "container", "width", "height", "rate", "shortest_edge"),
    [*((*kind, 224) for kind in KINDS), (*KINDS[1], 256)],
)
def test_clips_of_a_real_video_are_those_of_the_cpu_profile(
    codec: str,
    container: str,
    width: int,
    height: int,
    rate: Fraction | int,
    shortest_edge: int,
    reference_videos: dict[str, Path],
    tmp_path: Path,
) -> None:
    source = reference_videos["bigbuckbunny"]
    video = transcode(source, FRAMES, codec=codec, container=container, width=width, height=height, rate=rate)
    _, found, expected = both_decoders(video, definition(tmp_path, shortest_edge), "cpu", shortest_edge, PARAMETERS)
    differences = frame_differences(found, expected)
    print(f"{codec} {width}x{height}: {differences.mean():.2f} of 255, the worst frame {differences.max():.2f}")
    assert differences.max() < 1


@pytest.mark.parametrize("corner", ORIENTATIONS, ids=str)
def test_a_turned_or_mirrored_video_is_shown_as_in_the_cpu_profile(corner: tuple[int, ...], tmp_path: Path) -> None:
    # 398 pixels wide when its height is 224: 174 are cropped away, and of 399 it would be an odd number.
    for width in (320, 322):
        turned = matrix(*corner)
        video = encode(30, width=width, height=180, codec="mjpeg", container="mov", display_matrix=turned)
        pipeline = definition(tmp_path / str(width), 224)
        _, found, expected = both_decoders(video, pipeline, "cpu", 224, PARAMETERS)
        assert frame_differences(found, expected).max() < 2


def test_a_mirrored_phone_video_in_a_matroska_file_is_shown_as_in_the_cpu_profile(tmp_path: Path) -> None:
    turned = matrix(0, 1, 1, 0)
    video = encode(30, width=320, height=180, codec="mjpeg", container="matroska", display_matrix=turned)
    _, found, expected = both_decoders(video, definition(tmp_path, 224), "cpu", 224, PARAMETERS)
    assert frame_differences(found, expected).max() < 2


FAST = {"cpu-used": "8", "deadline": "realtime"}


@pytest.mark.parametrize("parameters", [Parameters(), Parameters(start_seconds=1.6), Parameters(fps=1, max_clips=1)])
def test_hidden_frames_are_not_counted_as_in_the_cpu_profile(parameters: Parameters, tmp_path: Path) -> None:
    video = encode(60, width=96, height=64, codec="libvpx", container="webm", options=FAST | {"g": "20"})
    hidden = with_hidden_frames(video, "webm", {5, 6, 20, 41})
    _, found, expected = both_decoders(hidden, definition(tmp_path, 224), "cpu", 224, parameters)
    assert frame_differences(found, expected).max() < 2


@pytest.mark.parametrize("keyframes", [None, (0, 7, 40)], ids=["all", "some"])
def test_false_keyframe_flags_change_nothing_as_in_the_cpu_profile(
    keyframes: tuple[int, ...] | None, tmp_path: Path
) -> None:
    video = encode(60, width=96, height=64, codec="libvpx-vp9", container="webm", options=FAST | {"g": "30"})
    part = Parameters(start_seconds=1.6)
    _, found, expected = both_decoders(flagged(video, "webm", keyframes), definition(tmp_path, 224), "cpu", 224, part)
    assert frame_differences(found, expected).max() < 2


@pytest.mark.parametrize("tag", ["color_space=bt709", "color_space=bt2020", "color_space=bt709:color_range=pc"])
def test_a_stated_color_space_changes_nothing_as_in_the_cpu_profile(tag: str, tmp_path: Path) -> None:
    video = encode(20, width=96, height=64, codec="libvpx-vp9", container="webm", options=FAST)
    tagged = remux(video, "webm", bitstream_filter=f"vp9_metadata={tag}")
    _, found, expected = both_decoders(tagged, definition(tmp_path, 224), "cpu", 224, PARAMETERS)
    assert frame_differences(found, expected).max() < 2


NOT_DEFAULT, DEFAULT = Disposition(0), Disposition.default


@pytest.mark.parametrize("container", ["matroska", "mp4"])
@pytest.mark.parametrize(
    "marks", [(NOT_DEFAULT, DEFAULT), (DEFAULT, NOT_DEFAULT), (NOT_DEFAULT, NOT_DEFAULT), (DEFAULT, DEFAULT)]
)
def test_dali_decodes_the_stream_that_is_shown_exactly_where_the_plan_says_so(
    marks: tuple[Disposition, Disposition], container: str, tmp_path: Path
) -> None:
    small, large = Video(10, 64, 48, "libvpx-vp9", marks[0]), Video(20, 128, 96, "libvpx-vp9", marks[1])
    video = encode_several([small, large], container)
    with open_video(BytesIO(video)) as (opened, stream):
        agree = dali_stream(opened.streams.video).index == stream.index
    _, found, expected = both_decoders(video, definition(tmp_path, 224), "cpu", 224, PARAMETERS)
    assert (frame_differences(found, expected).max() < 2) == agree
    assert agree or (container == "matroska" and marks[0] == marks[1])


@pytest.mark.slow
@pytest.mark.parametrize(("codec", "container", "width", "height", "rate"), KINDS)
def test_the_same_frames_are_chosen(
    codec: str, container: str, width: int, height: int, rate: Fraction | int, tmp_path: Path
) -> None:
    """On a texture whose frames all differ, each frame is closest to the cpu profile's frame of the same index."""
    video = encode(FRAMES, codec=codec, container=container, width=width, height=height, rate=rate)
    sampling, *both = both_decoders(video, definition(tmp_path, 224), "cpu", 224, PARAMETERS)
    found, expected = (frames[:, ::4, ::4].astype(np.float32) for frames in both)
    order = np.concatenate([sampling.motion_order, sampling.camera_order])
    kind = np.arange(len(order)) < len(sampling.motion_order)
    for index, frame in enumerate(found):
        differences = np.abs(expected - frame).mean(axis=(1, 2, 3))
        same = (order == order[index]) & (kind == kind[index])
        assert differences[same].max() < 0.3 * differences[~same].min()


def test_nothing_comes_back_from_the_gpu_before_the_end(tmp_path: Path) -> None:
    """The native backend's executor cannot do that. Nor can the legacy one, which raises an error for such a graph."""
    assert definition(tmp_path, 224)(device="mixed", exec_dynamic=False) is not None


@pytest.fixture(scope="module")
def gpu_profile(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoints: tuple[Path, Path]) -> Iterator[Server]:
    """A server with the configurations of the gpu profile, and instances on the CPU.

    Its warmup, too, but for the video in it: what DALI decodes on a CPU is another codec.
    """
    repository = copy_repository(tmp_path_factory.mktemp("gpu") / "model_repository")
    motion, camera = map(str, tiny_checkpoints)
    export_networks(motion, camera, repository, lambda _: None)
    directory = repository / "video_decode"
    video = encode(16, codec="libvpx-vp9", container="webm", width=256, height=256)
    size = (directory / "warmup" / "VIDEO").stat().st_size
    (directory / "warmup" / "VIDEO").write_bytes(video)
    config = (directory / "config.pbtxt").read_text()
    (directory / "config.pbtxt").write_text(config.replace(f"dims: [ {size} ]", f"dims: [ {len(video)} ]"))
    sampling = repository / "video_sampling" / "config.pbtxt"
    sampling.write_text(sampling.read_text().replace('"8000000000"', '"220000000"'))
    models = [path.parent.name for path in repository.glob("*/config.pbtxt")]
    serve_gpu_profile_on_cpu(repository, models, warmup=True)
    with running(Settings.on_free_ports(repository)) as started:
        yield started


def test_the_gpu_profile_on_a_cpu_answers_as_the_cpu_profile(
    gpu_profile: Server, client: Client, reference_videos: dict[str, Path]
) -> None:
    video = transcode(reference_videos["bigbuckbunny"], 70, codec="libvpx-vp9", container="webm", width=640, height=360)
    expected = client.score(video)
    with Client(gpu_profile.url) as gpu:
        found = gpu.score(video)
    assert list(vars(found.motion).values()) == pytest.approx(list(vars(expected.motion).values()), abs=0.01)
    assert len(found.camera) == len(expected.camera) > 0
    for ours, theirs in zip(found.camera, expected.camera, strict=True):
        assert list(ours.probabilities.values()) == pytest.approx(list(theirs.probabilities.values()), abs=0.01)
    assert found.info == expected.info
    assert (found.weights.precision, expected.weights.precision) == ("fp16", "f32")


def test_a_video_that_dali_cannot_decode_is_an_error_and_the_next_ones_are_scored(gpu_profile: Server) -> None:
    good = encode(40, codec="libvpx-vp9", container="webm")
    with Client(gpu_profile.url) as client:
        first = client.score(good)
        for _ in range(2):
            with pytest.raises(ServerError, match="DALI"):
                client.score(encode(40))  # H.264, which DALI decodes on a GPU only
        assert client.score(good).motion == client.score(good).motion == first.motion


def test_a_small_file_with_too_much_to_decode_does_not_reach_dali(gpu_profile: Server) -> None:
    with (
        Client(gpu_profile.url) as client,
        pytest.raises(InvalidRequest, match=r"70\.8 gigapixels; the max") as raised,
    ):
        client.score(bomb(4096, 2160, 8000))
    assert raised.value.reason == "too_large"


@pytest.mark.parametrize(("frames", "motion", "camera"), [(16, 0, 0), (2_000_000, 16, 16), (16, 16, 528), (8, 16, 15)])
def test_what_no_plan_asks_for_does_not_reach_dali(frames: int, motion: int, camera: int, gpu_profile: Server) -> None:
    with pytest.raises(InferenceServerException, match=r"orders? |frame indices") as raised:
        call(gpu_profile, "video_decode", to_decode(frames, motion, camera), with_key=True)
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert raised.value.message().strip().endswith(" [invalid_parameter]")


def test_a_file_of_which_dali_would_show_another_stream_is_refused(gpu_profile: Server) -> None:
    small, large = Video(10, 64, 48, "libvpx-vp9"), Video(20, 128, 96, "libvpx-vp9")
    with (
        Client(gpu_profile.url) as client,
        pytest.raises(InvalidRequest, match=r"several video streams and does not mark .*: keep one of them"),
    ):
        client.score(encode_several([small, large], "matroska"))


def test_a_video_that_dali_cannot_read_is_refused_with_a_sentence(gpu_profile: Server, client: Client) -> None:
    for video, what in (
        (encode(40, container="mpegts"), "h264 video in a container of the kind mpegts"),
        (
            encode(40, codec="prores_ks", container="mov", pixel_format="yuv422p10le"),
            "prores video in a container of the",
        ),
    ):
        with (
            Client(gpu_profile.url) as gpu,
            pytest.raises(InvalidRequest, match=f"on the GPU, which cannot read {what}"),
        ):
            gpu.score(video)
        assert client.score(video).info.frames == 40


@pytest.mark.slow
def test_a_video_whose_frames_are_more_than_the_gpu_may_hold_is_refused(gpu_profile: Server) -> None:
    large = encode(80, width=1920, height=1080, codec="libvpx-vp9", container="webm", options={"cpu-used": "8"})
    with Client(gpu_profile.url) as client:
        with pytest.raises(
            InvalidRequest,
            match=r"video take 0\.\d\d GB when decoded, more than this server's limit of 0\.22 GB",
        ):
            client.score(large)
        assert client.score(large, max_clips=1).info.width == 1920
