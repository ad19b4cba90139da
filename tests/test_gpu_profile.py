"""The configurations of the gpu profile, served on a CPU beside the cpu profile."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("nvidia.dali", reason="`make test` installs DALI")

from tritonclient.utils import InferenceServerException

from client import Client, InvalidRequest, ServerError
from export.networks import export_networks
from fixtures.bombs import bomb
from fixtures.several_streams import Video, encode_several
from fixtures.synthetic import encode, transcode
from server import Server, Settings, running
from tests.conftest import copy_repository, serve_gpu_profile_on_cpu
from tests.test_bad_input import call, to_decode


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
