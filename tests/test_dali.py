"""The GPU profile's decoding: the graph of `dali.py` run on the CPU, beside the cpu profile's decoder.

On a CPU DALI decodes VP9 and MJPEG only; what else the GPU profile reads is for a GPU to show.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("nvidia.dali", reason="`make test` installs DALI")

from backends.dali_definition import pipeline_definition
from bench.gpu.decoding import both_decoders, frame_differences
from client import Client, InvalidRequest, ServerError
from export.networks import export_networks
from fixtures.synthetic import encode, transcode
from server import Server, Settings, running
from tests.conftest import MODEL_REPOSITORY, copy_repository, serve_gpu_profile_on_cpu
from video import Parameters

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


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_video_is_turned_as_in_the_cpu_profile(rotation: int, tmp_path: Path) -> None:
    # 398 pixels wide when its height is 224: 174 are cropped away, and of 399 it would be an odd number.
    for width in (320, 322):
        video = encode(30, codec="mjpeg", container="mov", width=width, height=180, rotation_degrees=rotation)
        pipeline = definition(tmp_path / str(width), 224)
        _, found, expected = both_decoders(video, pipeline, "cpu", 224, PARAMETERS)
        assert frame_differences(found, expected).max() < 2


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
