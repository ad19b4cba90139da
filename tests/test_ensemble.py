"""The whole path through a real server over real gRPC, with tiny networks."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from tritonclient import grpc

from client import Client, InvalidRequest
from fixtures.synthetic import decode_all, encode
from server import Server
from tests.waiting import wait_for
from video import Parameters, sample
from video.container import open_video, read_frame_table
from video.resize import crop, stretch

VIDEO = encode(130, width=240, height=136)  # 5.2 s: two segments, two whole clips and one aligned to the end
STEPS = ("video_sampling", "video_decode", "motion_backbone", "motion_head", "camera_classifier")


def infer(
    server: Server, video: bytes = VIDEO, outputs: list[str] | None = None, **parameters: object
) -> dict[str, np.ndarray]:
    """Every requested output by name, as numpy."""
    with grpc.InferenceServerClient(server.url) as triton:
        content = np.frombuffer(video, np.uint8)[None]
        tensor = grpc.InferInput("VIDEO", list(content.shape), "UINT8")
        tensor.set_data_from_numpy(content)
        requested = None if outputs is None else [grpc.InferRequestedOutput(name) for name in outputs]
        answer = triton.infer("video_motion", [tensor], outputs=requested, parameters=parameters or None)
        return {output.name: answer.as_numpy(output.name) for output in answer.get_response().outputs}


def counts(server: Server) -> dict[str, int]:
    with grpc.InferenceServerClient(server.url) as triton:
        statistics = triton.get_inference_statistics().model_stats
    return {model.name: model.inference_stats.success.count for model in statistics}


def run_plainly(repository: Path, video: bytes, parameters: Parameters) -> tuple[np.ndarray, np.ndarray]:
    """Scores and probabilities without a server: decode everything, pick, resize, ONNX Runtime."""

    def network(name: str, value: np.ndarray) -> np.ndarray:
        session = onnxruntime.InferenceSession(repository / name / "1" / "model.onnx")
        return session.run(None, {session.get_inputs()[0].name: value})[0]

    with open_video(BytesIO(video)) as (container, stream):
        table = read_frame_table(container, stream)
    sampling = sample(table.timestamps, table.info.duration_seconds, parameters)
    frames = decode_all(video)
    motion = [stretch(frames[index]) for index in sampling.frame_indices[sampling.motion_order]]
    camera = [crop(frames[index], 224) for index in sampling.frame_indices[sampling.camera_order]]
    segments, clips = (np.stack(frames).reshape(-1, 16, 224, 224, 3) for frames in (motion, camera))
    return network("motion_head", network("motion_backbone", segments)), network("camera_classifier", clips)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"fps": 8.0},
        {"max_frames": 5, "max_clips": 1},
        {"clip_seconds": 1.0, "clip_stride_seconds": 0.5},
        {"start_seconds": 1.0, "end_seconds": 4.5},
    ],
)
def test_answers_are_those_of_the_networks_run_by_hand(
    server: Server, tiny_repository: Path, parameters: dict[str, Any]
) -> None:
    found = infer(server, **parameters)
    scores, probabilities = run_plainly(tiny_repository, VIDEO, Parameters(**parameters))
    np.testing.assert_allclose(found["MOTION_SCORES"], scores, atol=1e-4)
    np.testing.assert_allclose(found["CAMERA_PROBABILITIES"], probabilities, atol=1e-4)


def test_every_output_has_the_shape_of_the_contract(server: Server) -> None:
    outputs = infer(server)
    assert {name: (value.dtype.kind, value.shape) for name, value in outputs.items()} == {
        "MOTION_SCORES": ("f", (1, 3)),
        "CAMERA_PROBABILITIES": ("f", (3, 21)),
        "CLIP_SECONDS": ("f", (3, 2)),
        "VIDEO_EMBEDDING": ("f", (1, 48)),
        "VIDEO_INFO": ("f", (1, 5)),
        "HEADER_DURATION_SECONDS": ("f", (1,)),
        "DECODED_SHARE": ("f", (1, 1)),
        "WEIGHTS": ("O", (1,)),
        "DECODER": ("O", (1,)),
    }
    assert outputs["DECODER"].tolist() == [b"ffmpeg"]
    assert outputs["CLIP_SECONDS"].tolist() == [[0, 2], [2, 4], [pytest.approx(3.2), pytest.approx(5.2)]]
    assert outputs["DECODED_SHARE"].tolist() == [[1.0]]
    assert outputs["VIDEO_INFO"].tolist() == [[pytest.approx(5.2), 130, 25, 240, 136]]
    assert np.isnan(outputs["HEADER_DURATION_SECONDS"]).all()


def test_times_of_a_part_are_those_of_the_whole_video(server: Server) -> None:
    outputs = infer(server, start_seconds=1.0, end_seconds=4.0)
    assert outputs["CLIP_SECONDS"].tolist() == [[1, 3], [2, 4]]
    assert outputs["VIDEO_INFO"][0, :2].tolist() == [pytest.approx(5.2), 130]


def settled_counts(server: Server) -> dict[str, int]:
    """`counts` when they no longer change: Triton counts a step a moment after it has answered."""
    before, after = None, counts(server)
    while before != after:
        time.sleep(0.05)
        before, after = after, counts(server)
    return after


@pytest.mark.parametrize(
    ("outputs", "steps"),
    [
        (["VIDEO_INFO"], {"video_sampling"}),
        (["CLIP_SECONDS", "WEIGHTS"], {"video_sampling"}),
        (["DECODER"], {"video_sampling", "video_decode"}),
        (["MOTION_SCORES"], {"video_sampling", "video_decode", "motion_backbone", "motion_head"}),
        (["VIDEO_EMBEDDING"], {"video_sampling", "video_decode", "motion_backbone", "motion_head"}),
        (["CAMERA_PROBABILITIES"], {"video_sampling", "video_decode", "camera_classifier"}),
        (["MOTION_SCORES", "CAMERA_PROBABILITIES"], set(STEPS)),
    ],
)
def test_only_the_steps_that_the_outputs_need_are_run(server: Server, outputs: list[str], steps: set[str]) -> None:
    before = settled_counts(server)
    assert set(infer(server, outputs=outputs)) == set(outputs)

    def ran() -> set[str]:
        after = settled_counts(server)
        return {name for name in STEPS if after[name] > before[name]}

    wait_for(lambda: ran() >= steps)
    assert ran() == steps


def test_a_part_of_the_outputs_has_the_values_of_all(server: Server) -> None:
    everything = infer(server)
    for name in ("MOTION_SCORES", "CAMERA_PROBABILITIES", "VIDEO_EMBEDDING"):
        np.testing.assert_array_equal(infer(server, outputs=[name])[name], everything[name])


@pytest.mark.slow
def test_eight_at_once_get_the_answers_of_one_at_a_time(server: Server) -> None:
    videos = [encode(30 + 25 * index, width=96 + 32 * index, height=96, rate=20 + index) for index in range(8)]
    alone = [infer(server, video) for video in videos]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda video: infer(server, video), videos))
    for one, other in zip(alone, together, strict=True):
        for name, value in one.items():
            if name in ("WEIGHTS", "DECODER"):
                assert value.tolist() == other[name].tolist()
            else:
                np.testing.assert_allclose(value, other[name], atol=1e-5)


@pytest.mark.slow
def test_the_largest_request_is_served(server: Server) -> None:
    video = encode(1000, width=64, height=64, rate=10)
    outputs = infer(server, video, fps=10, max_frames=496, max_clips=32)
    assert outputs["CAMERA_PROBABILITIES"].shape == (32, 21)


def test_a_caller_learns_which_weights_are_served_without_a_video(
    server: Server, client: Client, tiny_checkpoints: tuple[Path, Path]
) -> None:
    weights = client.weights()
    assert weights.motion == f"directory {tiny_checkpoints[0]}"
    assert weights.camera == f"directory {tiny_checkpoints[1]}"
    assert weights.labels[:2] == ("arc_left", "arc_right")
    assert weights.precision == "f32"
    assert not weights.stand_in
    assert json.loads(infer(server, outputs=["WEIGHTS"])["WEIGHTS"][0])["motion"] == weights.motion


def test_labels_come_with_the_classifier_too(server: Server, tiny_repository: Path) -> None:
    """As Triton's classification extension has them, for clients that know no more than Triton."""
    clips = np.zeros((1, 16, 224, 224, 3), np.uint8)
    tensor = grpc.InferInput("CAMERA_CLIPS", list(clips.shape), "UINT8")
    tensor.set_data_from_numpy(clips)
    with grpc.InferenceServerClient(server.url) as triton:
        requested = grpc.InferRequestedOutput("CAMERA_PROBABILITIES", class_count=21)
        answer = triton.infer("camera_classifier", [tensor], outputs=[requested]).as_numpy("CAMERA_PROBABILITIES")
    labels = (tiny_repository / "camera_classifier" / "labels.txt").read_text().split()
    for entry in answer.reshape(-1):
        _, index, label = entry.decode().split(":")
        assert labels[int(index)] == label


def test_parameters_reach_the_server_through_the_client(client: Client) -> None:
    score = client.score(VIDEO, clip_seconds=1.0, max_clips=2, fps=2.5)
    assert [(clip.start_seconds, clip.end_seconds) for clip in score.camera] == [(0.0, 1.0), (4.0, 5.0)]
    with pytest.raises(InvalidRequest, match="max_clips is 99, it must be a whole number from 1 to 32"):
        client.score(VIDEO, max_clips=99)
