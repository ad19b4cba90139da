"""`python -m bench.gpu sweep` without a GPU: measurements are replaced, everything else is real."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from google.protobuf import text_format
from matplotlib import image
from tritonclient.grpc import model_config_pb2

from bench.capacity import Cost
from bench.gpu.steps import Skipped
from bench.gpu.sweep import activity, configurations, decoders, device, picture, serving, stripping
from bench.gpu.sweep import statistics as counted
from bench.gpu.sweep import videos as sweep_videos
from bench.gpu.sweep.bounds import share_of_bound
from bench.gpu.sweep.command import main
from bench.gpu.sweep.device import Device, find_device
from bench.gpu.sweep.grid import NETWORKS, Decoding, Grid, Load, Network, Point, Setting, Stripping, Video
from bench.gpu.sweep.journal import Journal, JournalError, Raw
from bench.gpu.sweep.measures import Measure
from bench.gpu.sweep.recommend import recommend
from fixtures.synthetic import encode
from tests.conftest import MODEL_REPOSITORY, copy_repository
from tests.waiting import wait_for

DRAW = picture.draw
H200 = Device("NVIDIA H200", "580.95.05", 7)
VIDEOS = ("360p_h264", "1080p_vp9")
OPTIONS = ["--videos", *VIDEOS, "--instances", "7", "14", "--delays", "2000", "--batches", "16", "32"]
OPTIONS += ["--in-flight", "8", "16", "--seconds", "1"]
LOADS = 2 * 1 * 2 * 2 * 2
ALONE = 2 * 3 + 2 + 2 * 2
DMON = """\
# gpu     sm    mem    enc    dec    jpg    ofa  rxpci  txpci
# Idx      %      %      %      %      %      %   MB/s   MB/s
    0     90     40      0     50      0      0    300     20
    0     92     41      0     70      0      0    340     40
# gpu     sm    mem    enc    dec    jpg    ofa  rxpci  txpci
# Idx      %      %      %      %      %      %   MB/s   MB/s
    0     91     40      0     60      -      -    320      -
"""


class FakeGpu:
    """A GPU whose rates follow a formula; it counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.stop_after: int | None = None
        self.missing: str | None = None
        self.broken_setting: Setting | None = None

    def _ask(self, what: str) -> None:
        if self.stop_after is not None and len(self.asked) >= self.stop_after:
            raise KeyboardInterrupt
        self.asked.append(what)

    def decoding(self, library: str, video: Video) -> Raw:
        self._ask(f"{library} {video.name}")
        if library == "TorchCodec":
            raise Skipped("torchcodec is not installed: pip install torchcodec")
        return {"frames_per_second": 25_000.0 if library == "DALI" else 20_000.0}

    def stripping(self, video: Video) -> Raw:
        self._ask(f"stripping {video.name}")
        return {
            "wanted_frames": 100,
            "whole_packets": 250,
            "stripped_packets": 160,
            "whole_wanted_fps": 4000.0,
            "stripped_wanted_fps": 6000.0,
        }

    def network(self, network: str, batch: int) -> Raw:
        self._ask(f"{network} {batch}")
        return {"clips_per_second": 1200.0 if network == "motion_backbone" else 400.0}

    @contextmanager
    def server(self, setting: Setting) -> Iterator[Measure]:
        self._ask(f"server {setting}")
        if self.missing:
            raise Skipped(self.missing)

        def measure(video: Video, in_flight: int) -> Raw:
            self._ask(f"{video.name} {in_flight}")
            if setting == self.broken_setting:
                raise RuntimeError("the load ended with status 1")
            rate = 40.0 + 8 * (setting.batch == 16) + 0.2 * (setting.instances == 14) + (in_flight == 16)
            return {
                "videos_per_second": rate,
                "p50_seconds": in_flight / rate,
                "p99_seconds": 2 * in_flight / rate,
                "caller_cores": 0.1,
                "decoders": {"nvdec": 3, "ffmpeg": 1} if "vp9" in video.name else {"nvdec": 4},
                "models": {network: {"batches": {"12": 10, "16": 10}} for network in NETWORKS},
                "activity": activity.parse(DMON),
            }

        yield measure


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return copy_repository(tmp_path / "model_repository")


@pytest.fixture
def sweep(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the command, in a folder that has the videos; without the picture, which takes longest."""
    monkeypatch.setattr(picture, "draw", lambda *_: None)
    (tmp_path / "sweep").mkdir()
    for name in VIDEOS:
        (tmp_path / "sweep" / f"{name}.mp4").write_bytes(b"")

    def run(gpu: FakeGpu, *options: str, found: Device = H200) -> int:
        paths = ["--directory", str(tmp_path), "--model-repository", str(repository)]
        return main([*OPTIONS, *paths, *options], _no_export, find=lambda _: found, measures=gpu)

    return run


def _no_export(_: Path) -> tuple[Path, str | None]:
    raise AssertionError("nothing is exported for a stand-in")


def parse(path: Path) -> model_config_pb2.ModelConfig:
    return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())


def decoding_model(repository: Path) -> str:
    """The model that decodes on NVDEC, wherever the repository has it."""
    (found,) = (path.parent for path in repository.glob("*/config.pbtxt") if parse(path).backend == "dali")
    return found.name


def test_every_point_is_measured_written_and_shown(
    sweep: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu = FakeGpu()
    assert sweep(gpu) == 0
    assert len(gpu.asked) == ALONE + 4 + LOADS
    first, *lines = (tmp_path / "sweep" / "points.jsonl").read_text().splitlines()
    assert json.loads(first) == {
        "gpu": "NVIDIA H200", "driver": "580.95.05", "nvdecs": 7, "profile": "gpu", "seconds": 1.0,
    }  # fmt: skip
    points = [json.loads(line) for line in lines]
    assert len(points) == ALONE - 2 + LOADS  # TorchCodec was skipped
    assert all(point["raw"] for point in points)
    printed, text = capsys.readouterr().out, (tmp_path / "sweep" / "sweep.md").read_text()
    assert "24 with 4 starts" not in printed
    assert f"{ALONE} points alone and {LOADS} with 4 starts of the server, of 1 s each or more" in printed
    for table in (printed, text):
        assert "| 360p_h264 | 25,000 | 20,000 | - |" in table
        assert "| 1080p_vp9 | 100 | 250 | 160 | 4,000 | 6,000 | 1.50 |" in table
        assert "| 16 | 1,200 | 400 |" in table
        assert "- torchcodec is not installed: pip install torchcodec: NVDEC alone, TorchCodec, 360p_h264; " in table
    # 48 + 1 videos/s; 3 / 1200 + 5 / 400 s in the networks; 80 of 640 places empty; 30 MB/s for 49 videos
    row = "| 360p_h264 | 7 | 16 | 2000 | 16 | 49 | 12,200 | 0.327 | 0.653 | 74% (networks) | 12% "
    assert f"{row}| 0.612 (19.3) | 2.8 of 7 |" in text
    assert text.count("| 360p_h264 | 7 |") == 4
    assert "| 1080p_vp9 | 7 | 16 | 2000 | 16 | 49 (25% decoded by the CPU) | 12,200 |" in text
    assert printed.count("| 360p_h264 | 14 | 16 |") == 1  # the fastest alone


@pytest.mark.heavy
def test_the_picture_shows_each_video(
    sweep: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture, "draw", DRAW)
    assert sweep(FakeGpu()) == 0
    pixels = image.imread(tmp_path / "sweep" / "sweep.png")
    assert pixels.shape[0] > 300
    assert pixels.shape[1] > 600
    assert np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0).shape[0] > 50


def test_a_sweep_that_was_stopped_goes_on(
    sweep: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = FakeGpu(), FakeGpu(), FakeGpu()
    first.stop_after = ALONE + 6
    assert sweep(first) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    path = tmp_path / "sweep" / "points.jsonl"
    with path.open("ab") as file:
        file.write(b'{"point": {"kind": "loa')  # a kill in the middle of a line
    assert sweep(second) == 0
    again = set(first.asked) & set(second.asked)
    assert {name for name in again if "server" not in name} == {
        "TorchCodec 360p_h264",
        "TorchCodec 1080p_vp9",
        *(f"{video} {count}" for video in VIDEOS for count in (8, 16)),  # with other settings
    }
    loads = [name for name in [*first.asked, *second.asked] if name.split()[0] in VIDEOS]
    assert len(loads) == LOADS
    assert sweep(third) == 0
    assert set(third.asked) == {"TorchCodec 360p_h264", "TorchCodec 1080p_vp9"}
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_points_of_another_machine_are_not_continued(
    sweep: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(FakeGpu()) == 0
    before = (tmp_path / "sweep" / "points.jsonl").read_bytes()
    gpu = FakeGpu()
    assert sweep(gpu, found=Device("NVIDIA H100 80GB HBM3", "580.95.05", 7)) == 1
    assert "points.jsonl were measured with another gpu: choose another --directory" in capsys.readouterr().err
    assert gpu.asked == []
    assert (tmp_path / "sweep" / "points.jsonl").read_bytes() == before


def test_a_damaged_line_is_named_and_two_sweeps_do_not_write_one_file(tmp_path: Path) -> None:
    path, where = tmp_path / "points.jsonl", {"gpu": "a"}
    point = Network("motion_backbone", 16)
    with Journal(path, where) as journal:
        journal.add(point, {"clips_per_second": 1.5})
        assert journal.find(point) == {"clips_per_second": 1.5}
        assert journal.find(Network("motion_backbone", 32)) is None
        with pytest.raises(JournalError, match="another sweep is writing"):
            Journal(path, where)
    with Journal(path, where) as journal:
        assert journal.find(point) == {"clips_per_second": 1.5}
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(JournalError, match=r"line 3 of .* is damaged"):
        Journal(path, where)


def test_the_recommended_configuration_is_the_fastest_and_smallest(
    sweep: Callable[..., int], repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(FakeGpu()) == 0
    decoder = decoding_model(repository)
    written = sorted(path.parent.parent.name for path in repository.glob("*/configs/nvidia-h200.pbtxt"))
    assert written == sorted({decoder, "video_decode", *NETWORKS})
    printed = capsys.readouterr().out
    assert 'TRITON_FLAGS="--model-config-name=nvidia-h200" python -m server' in printed
    for model in written:
        path = repository / model / "configs" / "nvidia-h200.pbtxt"
        assert path.read_text().startswith("# For NVIDIA H200 (driver 580.95.05), measured by")
        assert "7 instances, batch 16, 2000 us; 16 requests in flight" in path.read_text()
        config, expected = parse(path), parse(repository / model / "config.pbtxt")
        if model in NETWORKS:
            expected.dynamic_batching.preferred_batch_size[:] = [16, 32]
            expected.dynamic_batching.max_queue_delay_microseconds = 2000
        if model == decoder:
            expected.instance_group[0].count = 7
        assert config.instance_group[0].count >= (7 if model in (decoder, "video_decode") else 1)
        if model in (decoder, *NETWORKS):
            assert config == expected


def test_every_setting_reaches_the_models(repository: Path) -> None:
    head = repository / "motion_head"
    shutil.copy(head / "config.pbtxt", head / "configs" / "tensorrt.pbtxt")
    paths = configurations.write(repository, "tensorrt", "new", Setting(14, 8, 500), "first\nsecond")
    configs = {path.parent.parent.name: parse(path) for path in paths}
    # Those of the tensorrt profile that do not change are there too: Triton would take the gpu profile's.
    assert {"motion_head", *NETWORKS, "video_decode"} <= configs.keys()
    assert configs["motion_backbone"].platform == "tensorrt_plan"
    for network in NETWORKS:
        batching = configs[network].dynamic_batching
        assert (list(batching.preferred_batch_size), batching.max_queue_delay_microseconds) == ([8, 32], 500)
    assert configs[decoding_model(repository)].instance_group[0].count == 14
    assert configs["video_decode"].instance_group[0].count >= 14
    assert all(path.read_text().startswith("# first\n# second\n") for path in paths)
    assert configs["motion_head"] == parse(head / "configs" / "tensorrt.pbtxt")
    with pytest.raises(configurations.WrongSetting, match="takes batches up to 32, not 64"):
        configurations.write(repository, "gpu", "new", Setting(7, 64, 0), "")


def test_instances_that_decode_on_the_cpu_are_kept_beside_those_that_wait_for_nvdec(tmp_path: Path) -> None:
    for model, backend, count in (("video_decode", "python", 12), ("video_decode_nvdec", "dali", 7)):
        (tmp_path / model).mkdir()
        config = model_config_pb2.ModelConfig(name=model, backend=backend)
        config.instance_group.add(count=count)
        (tmp_path / model / "config.pbtxt").write_text(text_format.MessageToString(config))
    paths = configurations.write(tmp_path, "gpu", "new", Setting(14, 16, 0), "")
    assert {path.parent.parent.name: parse(path).instance_group[0].count for path in paths} == {
        "video_decode": 19,
        "video_decode_nvdec": 14,
    }


def test_a_server_is_started_with_the_configuration_of_its_setting(
    monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    setting = Setting(14, 32, 500)
    triton = SimpleNamespace(profile=lambda: "gpu", backend_directory=None, notice=lambda: None)
    monkeypatch.setattr(serving, "find_triton", lambda: triton)
    monkeypatch.setenv("TRITON_FLAGS", "--log-verbose=1")

    @contextmanager
    def running(settings: Any) -> Iterator[str]:
        assert (settings.model_repository, settings.proxy) == (repository, False)
        assert os.environ["TRITON_FLAGS"].split() == ["--log-verbose=1", "--model-config-name=sweep"]
        batching = parse(repository / "motion_backbone" / "configs" / "sweep.pbtxt").dynamic_batching
        assert batching.max_queue_delay_microseconds == 500
        yield "server"

    monkeypatch.setattr(serving, "running", running)
    with serving.serving(repository, "gpu", setting) as server:
        assert str(server) == "server"
    assert os.environ["TRITON_FLAGS"] == "--log-verbose=1"
    triton.backend_directory = Path("backends")
    with (
        pytest.raises(Skipped, match="needs NVIDIA's container"),
        serving.serving(repository, "tensorrt", setting),
    ):
        pass
    triton.profile = lambda: "cpu"
    with pytest.raises(Skipped, match="no gpu profile"), serving.serving(repository, "gpu", setting):
        pass


def grid_of(*settings: tuple[int, int, int], in_flight: tuple[int, ...] = (8, 16)) -> Grid:
    videos = tuple(Video(name, Path(name), Cost(250, 3, 5)) for name in VIDEOS)
    values = [tuple(sorted(set(column))) for column in zip(*settings, strict=True)]
    return Grid(videos, values[0], values[1], values[2], in_flight)


def test_a_setting_that_is_not_wholly_measured_is_not_recommended() -> None:
    grid = grid_of((7, 16, 0), (14, 16, 0))
    small, large = grid.settings()
    finished: dict[Point, Raw] = {load: {"videos_per_second": 10.0} for load in grid.loads(small)}
    found = recommend(grid, finished)
    assert found is not None
    assert found.setting == small
    finished |= {load: {"videos_per_second": 99.0} for load in grid.loads(large)[:-1]}
    found = recommend(grid, finished)
    assert found is not None
    assert found.setting == small
    finished |= {load: {"videos_per_second": 99.0} for load in grid.loads(large)}
    found = recommend(grid, finished)
    assert found is not None
    assert (found.setting, found.in_flight) == (large, 8)
    assert recommend(grid, {}) is None


def test_the_bound_is_the_slower_of_decoders_and_networks() -> None:
    grid = grid_of((7, 16, 0))
    (setting,) = grid.settings()
    video = grid.videos[0]
    load = Load(setting, video.name, 8)
    finished: dict[Point, Raw] = {load: {"videos_per_second": 8.0}}
    assert share_of_bound(finished, load, video) is None
    finished[Decoding("DALI", video.name)] = {"frames_per_second": 1000.0}
    finished[Decoding("TorchCodec", video.name)] = {"frames_per_second": 2500.0}
    finished |= {Network(name, 16): {"clips_per_second": 800.0} for name in NETWORKS}
    assert share_of_bound(finished, load, video) == (
        pytest.approx(0.8),
        "NVDEC",
    )  # 10 videos/s, and 100 of the networks
    finished |= {Network(name, 16): {"clips_per_second": 40.0} for name in NETWORKS}
    assert share_of_bound(finished, load, video) == (pytest.approx(1.6), "networks")
    del finished[Decoding("DALI", video.name)], finished[Decoding("TorchCodec", video.name)]
    finished[Stripping(video.name)] = {"stripped_wanted_fps": 400.0, "wanted_frames": 100}  # 4 videos/s
    assert share_of_bound(finished, load, video) == (pytest.approx(2.0), "NVDEC")


def test_a_failed_point_fails_the_sweep_and_a_missing_server_does_not(
    sweep: Callable[..., int], repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = FakeGpu()
    broken.broken_setting = Setting(7, 16, 2000)
    assert sweep(broken) == 1
    assert "RuntimeError: the load ended with status 1: 7 instances, batch 16" in capsys.readouterr().out
    (tmp_path / "sweep" / "points.jsonl").unlink()
    shutil.rmtree(repository)
    copy_repository(repository)
    without = FakeGpu()
    without.missing = "this Triton has no gpu profile"
    assert sweep(without) == 0
    assert "- this Triton has no gpu profile: 7 instances" in capsys.readouterr().out
    assert list(repository.glob("*/configs/nvidia*")) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batches", "64"], "--batches: the networks take batches up to 32, not 64"),
        (["--instances", "0"], "'0' is not a whole number from 1 on"),
        (["--delays", "-1"], "'-1' is not a whole number from 0 on|expected at least one argument"),
        (["--in-flight", "x"], "'x' is not a whole number from 1 on"),
        (["--seconds", "0"], "'0' is not a number of seconds above 0"),
        (["--videos", "480p_h264"], "invalid choice: '480p_h264'"),
        (["--model-repository", "/nowhere"], "/nowhere has no model video_motion"),
    ],
)
def test_a_wrong_option_is_refused(
    sweep: Callable[..., int], options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        sweep(FakeGpu(), *options)
    assert stopped.value.code == 2
    assert any(part in capsys.readouterr().err for part in message.split("|"))


def test_without_a_gpu_it_says_so_and_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["--directory", str(tmp_path)], _no_export) == 1
    assert capsys.readouterr().err == "sweep: no NVIDIA GPU: nvidia-smi is not installed\n"


def put_nvidia_smi(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = directory / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")


def test_the_driver_says_how_many_nvdecs_there_are_else_a_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "")
    put_nvidia_smi(tmp_path, "echo 'NVIDIA H100 80GB HBM3, 580.95.05'", monkeypatch)
    assert find_device() == Device("NVIDIA H100 80GB HBM3", "580.95.05", 7)
    assert find_device().config_name == "nvidia-h100-80gb-hbm3"
    assert find_device(3).nvdecs == 3
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert find_device().id == "2"
    device.use_alone(find_device())
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2"
    put_nvidia_smi(tmp_path, "echo 'NVIDIA L40S, 580.95.05'", monkeypatch)
    with pytest.raises(Skipped, match="how many NVDECs NVIDIA L40S has: install pynvvideocodec, or give --nvdecs"):
        find_device()
    codec = SimpleNamespace(GetDecoderCaps=lambda: {"num_decoder_engines": 3})
    monkeypatch.setattr(device.importlib.util, "find_spec", lambda _: True)
    monkeypatch.setitem(sys.modules, "PyNvVideoCodec", codec)
    assert find_device().nvdecs == 3
    put_nvidia_smi(tmp_path, "echo 'No devices were found'; exit 6", monkeypatch)
    with pytest.raises(Skipped, match="no NVIDIA GPU: No devices were found"):
        find_device()


def test_a_driver_that_pynvvideocodec_cannot_ask_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It fails where it is imported if the driver's library for NVENC is missing, as in a container without `video`."""
    put_nvidia_smi(tmp_path, "echo 'NVIDIA H100 80GB HBM3, 580.95.05'", monkeypatch)
    (tmp_path / "PyNvVideoCodec.py").write_text(
        "raise RuntimeError('Failed to load NVENC library: libnvidia-encode.so.1\\nTROUBLESHOOTING')"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(Skipped, match=r"give --nvdecs: Failed to load NVENC library: libnvidia-encode\.so\.1$"):
        find_device()
    assert find_device(7).nvdecs == 7


def test_the_default_instances_are_one_for_each_nvdec_of_an_h100() -> None:
    config = parse(MODEL_REPOSITORY / decoding_model(MODEL_REPOSITORY) / "config.pbtxt")
    assert config.instance_group[0].count == device.NVDECS["H100"] == device.NVDECS["H200"] == 7
    check = (Path(__file__).parent.parent / "bench" / "gpu" / "__main__.py").read_text()
    assert "\nSTREAMS = 7\n" in check


def test_copies_and_idle_decoders_are_counted_from_what_the_driver_samples(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    printed = tmp_path / "printed"
    put_nvidia_smi(tmp_path, f"cat <<'END'\n{DMON}END\ntouch {printed}\nexec sleep 60", monkeypatch)
    with activity.Activity("0") as seen:
        assert seen.samples == []
        wait_for(printed.exists)  # it goes on until it is stopped
    assert [sample["txpci"] for sample in seen.samples if "txpci" in sample] == [20, 40]
    assert len(seen.samples) == 3
    assert activity.idle_nvdecs(seen.samples, 7) == pytest.approx(7 * 0.4)
    assert activity.bytes_to_host(seen.samples, 10.0) == pytest.approx(3e6)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with activity.Activity("0") as nothing:
        pass
    assert (activity.idle_nvdecs(nothing.samples, 7), activity.bytes_to_host(nothing.samples, 10.0)) == (None, None)


@pytest.mark.heavy
def test_the_videos_are_encoded_as_their_names_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small = [replace(made, width=96, height=54, seconds=1) for made in sweep_videos.MADE if made.source == "bikes"]
    monkeypatch.setattr(sweep_videos, "MADE", small)
    found = sweep_videos.sweep_videos(tmp_path, ["360p_vp9", "360p_h264", "360p_hevc"])
    assert [video.name for video in found] == ["360p_h264", "360p_hevc", "360p_vp9"]
    for video in found:
        with av.open(video.path, "r") as container:
            stream = container.streams.video[0]
            assert stream.codec_context.codec.canonical_name == video.name.partition("_")[2]
            assert sum(1 for _ in container.decode(stream)) == 25
        # what a request costs that wants 10 seconds of 25 frames a second
        assert video.cost == Cost(250, 3, 5)


def test_empty_places_are_counted_from_the_sizes_of_batches() -> None:
    parts = dict.fromkeys(counted.PARTS, 5)
    before = {"motion_backbone": parts | {"batches": {"16": 3}}}
    after = {
        "motion_backbone": dict.fromkeys(counted.PARTS, 9) | {"batches": {"16": 3, "4": 2}},
        "camera_classifier": parts | {"batches": {"32": 1}},
    }
    found = counted.between(before, after)
    assert found["motion_backbone"] == dict.fromkeys(counted.PARTS, 4) | {"batches": {"4": 2}}
    assert found["camera_classifier"]["batches"] == {"32": 1}
    # 2 x 12 of 2 x 16 places, and none of 32
    assert counted.empty_share(found, NETWORKS, 16) == pytest.approx(24 / 64)
    assert counted.empty_share({}, NETWORKS, 16) is None


class FakeDecoder:
    """Stands for a session of PyNvVideoCodec, or a decoder of TorchCodec."""

    decoded = 0
    cpu_fallback: object = False

    def __init__(self, video: bytes, **options: object) -> None:
        assert video == b"file"
        self.options = options

    def __len__(self) -> int:
        return 70

    def seek_to_index(self, index: int) -> None:
        self.position = index

    def get_batch_frames(self, count: int) -> list[int]:
        frames = list(range(self.position, min(70, self.position + count)))
        self.position += len(frames)
        FakeDecoder.decoded += len(frames)
        return frames

    def get_frames_in_range(self, first: int, end: int) -> object:
        assert self.options == {"device": "cuda", "seek_mode": "approximate"}
        FakeDecoder.decoded += end - first
        return SimpleNamespace(data=np.zeros((end - first, 3, 2, 2)))


def test_each_library_decodes_every_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders.importlib.util, "find_spec", lambda _: True)
    monkeypatch.setitem(sys.modules, "PyNvVideoCodec", SimpleNamespace(SimpleDecoder=FakeDecoder))
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", SimpleNamespace(VideoDecoder=FakeDecoder))
    for library in ("PyNvVideoCodec", "TorchCodec"):
        FakeDecoder.decoded = 0
        assert decoders.frames_per_second(library, b"file", 70, 3, 0.02) > 0
        assert FakeDecoder.decoded >= 6 * 70
        assert FakeDecoder.decoded % 70 == 0
    monkeypatch.setattr(FakeDecoder, "cpu_fallback", "AV1")
    with pytest.raises(Skipped, match="TorchCodec does not use NVDEC: AV1"):
        decoders.frames_per_second("TorchCodec", b"file", 70, 3, 0.02)


def test_a_library_that_is_missing_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders.importlib.util, "find_spec", lambda _: None)
    for library, name in (("DALI", "nvidia.dali"), ("PyNvVideoCodec", "PyNvVideoCodec"), ("TorchCodec", "torchcodec")):
        with pytest.raises(Skipped, match=f"{name} is not installed: "):
            decoders.frames_per_second(library, b"", 1, 1, 1.0)


def test_a_decoder_that_fails_in_one_stream_ends_the_others() -> None:
    begun: list[int] = []

    def begin() -> Callable[[], None]:
        begun.append(len(begun))
        if len(begun) == 2:
            raise ValueError("no such codec")
        return lambda: None

    with pytest.raises(ValueError, match="no such codec"):
        decoders.videos_per_second(begin, 3, 60.0)


@pytest.mark.heavy
def test_stripping_is_measured_with_dali(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU, DALI decodes VP9; the stripped file here is the first half of the whole one."""
    pytest.importorskip("nvidia.dali", reason="`make test` installs DALI")
    whole, half = (encode(frames, codec="libvpx-vp9", container="webm") for frames in (20, 10))
    plan = {"frame_indices": [0, 3, 9], "stripped_indices": [0, 3, 9], "stripped_video": np.frombuffer(half, np.uint8)}
    reader = SimpleNamespace(plan=lambda *_: plan, close=lambda: None)
    monkeypatch.setattr(stripping, "IsolatedDecoder", lambda _: reader)
    raw = stripping.measure(whole, "cpu", 2, 0.02)
    assert (raw["wanted_frames"], raw["whole_packets"], raw["stripped_packets"]) == (3, 20, 10)
    assert (raw["whole_bytes"], raw["stripped_bytes"]) == (len(whole), len(half))
    assert min(raw["whole_wanted_fps"], raw["stripped_wanted_fps"]) > 0
    plan["stripped_video"] = np.empty(0, np.uint8)
    with pytest.raises(Skipped, match="makes no stripped file"):
        stripping.measure(whole, "cpu", 2, 0.02)
