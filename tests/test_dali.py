"""The GPU profile's decoding: the graph of `dali.py` run on the CPU, beside the cpu profile's decoder.

On a CPU DALI decodes VP9 and MJPEG only; what else the GPU profile reads is for a GPU to show.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("nvidia.dali", reason="`make test` installs DALI")

from nvidia.dali import backend

from backends.dali_definition import pipeline_definition
from bench.gpu.decoding import both_decoders, decoded_by_both, frame_differences
from fixtures.remuxed import flagged, remux, with_hidden_frames
from fixtures.stripped import strip
from fixtures.synthetic import encode, transcode
from tests.conftest import MODEL_REPOSITORY
from tests.test_orientation import ORIENTATIONS, matrix
from video import Parameters
from video.frame_form import FrameForm
from video.signals import Signal

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


def definition(directory: Path, shortest_edge: int, form: dict[str, Any] | None = None) -> Callable[..., Any]:
    """The pipeline of `dali.py`, in a model repository whose networks want this shortest edge and these frames."""
    (directory / "video_decode_nvdec" / "1").mkdir(parents=True)
    source = MODEL_REPOSITORY / "video_decode_nvdec" / "1" / "dali.py"
    path = Path(shutil.copy(source, directory / "video_decode_nvdec" / "1"))
    encoder = {} if form is None else {"frames": {"preprocessing": form}}
    (directory / "weights.json").write_text(json.dumps({"shortest_edge": shortest_edge} | encoder))
    return pipeline_definition(path)


def operators(pipeline: Any) -> set[tuple[str, str]]:
    """The name and the device of each operator of a pipeline that was not built."""
    found, waiting = {}, list(pipeline._graph_out)
    while waiting:
        source = waiting.pop().source
        if id(source) in found:
            continue
        operator = source._op
        name = getattr(operator, "_internal_schema_name", None) or getattr(operator, "schema_name", None)
        found[id(source)] = (name or type(operator).__name__, operator.device)
        for node in source.inputs:
            waiting += node if isinstance(node, list | tuple) else [node]
    return set(found.values())


@pytest.mark.parametrize("device", ["cpu", "mixed"])
def test_dali_has_every_operator_on_its_device(device: str, tmp_path: Path) -> None:
    """Without a GPU, a pipeline for one can be written down, but not built."""
    pipeline = definition(tmp_path, 224, CLIP_FORM)(device=device, device_id=None, exec_dynamic=True)
    has = {
        "cpu": set(backend.RegisteredCPUOps()),
        "gpu": set(backend.RegisteredGPUOps()),
        "mixed": set(backend.RegisteredMixedOps()),
    }
    used = operators(pipeline)
    assert ("decoders__Video", device) in used
    assert len(used) > 10
    assert [(name, where) for name, where in used if name not in has[where]] == []
    outputs = {node.device for node in pipeline._graph_out}
    assert outputs == {"cpu" if device == "cpu" else "gpu"}


SOME_ORIENTATIONS = [
    pytest.param(corner, marks=[pytest.mark.slow] * (number % 3 != 1)) for number, corner in enumerate(ORIENTATIONS)
]
"""Turned, mirrored, and both; the others are slow."""


@pytest.mark.parametrize(
    ("codec", "container", "width", "height", "rate", "shortest_edge"),
    [
        *(pytest.param(*kind, 224, marks=[pytest.mark.slow] * (number % 2)) for number, kind in enumerate(KINDS)),
        (*KINDS[1], 256),
    ],
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


def test_clips_of_the_stripped_file_are_those_of_the_cpu_profile(
    reference_videos: dict[str, Path], tmp_path: Path
) -> None:
    source = reference_videos["bigbuckbunny"]
    video = transcode(source, FRAMES, codec="mjpeg", container="mov", width=320, height=180)
    part = replace(PARAMETERS, start_seconds=2.0)
    stripped = strip(video, part)
    assert 0 < len(stripped.content) < len(video)
    assert stripped.indices != stripped.frame_indices.tolist()
    _, found, expected = both_decoders(video, definition(tmp_path, 224), "cpu", 224, part, stripped=stripped)
    assert frame_differences(found, expected).max() < 1


CLIP_FORM = {"resize": {"shortest_edge": 224}, "resample": "bicubic", "crop": {"height": 224, "width": 224}}
OBLONG_FORM = {"resize": {"shortest_edge": 80}, "resample": "bilinear", "crop": {"height": 64, "width": 72}}
STRETCHED_FORM = {"resize": {"height": 96, "width": 96}, "resample": "bicubic", "crop": None}


@pytest.mark.parametrize("form", [CLIP_FORM, OBLONG_FORM, STRETCHED_FORM], ids=["crop", "oblong", "stretch"])
@pytest.mark.parametrize("kind", [KINDS[1], KINDS[5]], ids=["vp9", "mjpeg"])
def test_frames_of_the_image_encoder_are_those_of_the_cpu_profile(
    kind: tuple[Any, ...], form: dict[str, Any], reference_videos: dict[str, Path], tmp_path: Path
) -> None:
    codec, container, width, height, rate = kind
    source = reference_videos["bigbuckbunny"]
    video = transcode(source, FRAMES, codec=codec, container=container, width=width, height=height, rate=rate)
    pipeline = definition(tmp_path, 224, form)
    parameters = Parameters(signals=(Signal.FRAMES,), frames=6)
    _, found, expected = decoded_by_both(video, pipeline, "cpu", 224, parameters, FrameForm.of(form))
    assert [len(part) for part in expected] == [0, 0, 6]
    assert found[2].shape == expected[2].shape
    differences = frame_differences(found[2], expected[2])
    print(f"{codec} {width}x{height}: {differences.mean():.2f} of 255, the worst frame {differences.max():.2f}")
    assert differences.max() < 1


@pytest.mark.parametrize("corner", SOME_ORIENTATIONS, ids=str)
def test_frames_of_a_turned_or_mirrored_video_are_shown_as_in_the_cpu_profile(
    corner: tuple[int, ...], tmp_path: Path
) -> None:
    video = encode(30, width=322, height=180, codec="mjpeg", container="mov", display_matrix=matrix(*corner))
    pipeline = definition(tmp_path, 224, CLIP_FORM)
    parameters = Parameters(signals=tuple(Signal), frames=3)
    _, found, expected = decoded_by_both(video, pipeline, "cpu", 224, parameters, FrameForm.of(CLIP_FORM))
    for part, other in zip(found, expected, strict=True):
        assert len(part)
        assert np.abs(part.astype(int) - other).mean() < 2


@pytest.mark.parametrize("signal", [Signal.MOTION, Signal.CAMERA])
def test_what_is_asked_for_alone_is_that_of_the_whole(signal: Signal, tmp_path: Path) -> None:
    video = encode(30, width=96, height=64, codec="mjpeg", container="mov")
    _, whole, _ = decoded_by_both(video, definition(tmp_path / "whole", 224), "cpu", 224, PARAMETERS)
    alone = replace(PARAMETERS, signals=(signal,))
    _, found, expected = decoded_by_both(video, definition(tmp_path / "alone", 224), "cpu", 224, alone)
    index = (Signal.MOTION, Signal.CAMERA).index(signal)
    assert len(expected[1 - index]) == 0
    np.testing.assert_array_equal(found[index], whole[index])


@pytest.mark.parametrize("corner", SOME_ORIENTATIONS, ids=str)
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
