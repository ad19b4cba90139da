"""The configurations of the optional models, and the ensemble `video_signals`, read with Triton's own protobuf."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from export.configs import model_files
from export.ensemble import ensemble_config, ensemble_files
from export.plans import BATCHES, MAXIMUM_BATCH, OPTIMUM_BATCH, PLAN
from server.heads import other_encoders
from server.preflight import problems
from tests.configs import full_shapes
from tests.configs import parse as parse_file
from tests.conftest import MODEL_REPOSITORY
from video.clips import CLIP_FRAMES, FRAME_SIZE
from video.measures.picture_form import SIDE
from video.picture_parts import PART

VALUES: dict[str, dict[str, object]] = {
    "frame_encoder": {"height": 240, "width": 256, "dimensions": 512},
    "action_classifier": {"labels": 400},
    "frame_autoencoder": {"side": 240, "channels": 8, "height": 30, "width": 30},
}
PROFILES = {"gpu": "config.pbtxt", "cpu": "configs/cpu.pbtxt", "tensorrt": "configs/tensorrt.pbtxt"}
HEADS = {"quality": {"on": "frames"}, "static_pan": {"on": "segments"}}
MANIFESTS: list[dict[str, Any]] = [
    {},
    {"actions": {}},
    {"frames": {}},
    {"metrics": ["frames", "cuts"]},
    {"frames": {}, "actions": {}, "heads": HEADS, "metrics": ["frames"]},
    {"heads": {"static_pan": {"on": "segments"}}},
]


def parse(text: str) -> Any:
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def config_of(model: str, profile: str) -> Any:
    return parse(model_files(model, **VALUES[model])[PROFILES[profile]])


@pytest.mark.parametrize("model", list(VALUES))
def test_an_optional_model_has_the_same_tensors_in_every_profile(model: str) -> None:
    gpu, cpu, tensorrt = (config_of(model, profile) for profile in PROFILES)
    assert full_shapes(gpu) == full_shapes(cpu) == full_shapes(tensorrt)
    assert gpu.name == cpu.name == tensorrt.name == model
    assert gpu.max_batch_size == cpu.max_batch_size == tensorrt.max_batch_size
    assert (gpu.backend, cpu.backend, tensorrt.backend) == ("onnxruntime", "openvino", "tensorrt")
    assert (gpu.default_model_filename, tensorrt.default_model_filename) == ("model_fp16.onnx", PLAN)


def test_a_head_has_the_same_tensors_in_every_profile_and_no_batches() -> None:
    files = model_files("head", name="head_genre", dimensions=512, labels=3)
    gpu, cpu = parse(files["config.pbtxt"]), parse(files["configs/cpu.pbtxt"])
    assert full_shapes(gpu) == {
        "EMBEDDINGS": (model_config_pb2.TYPE_FP32, [-1, 512]),
        "PROBABILITIES": (model_config_pb2.TYPE_FP32, [1, 3]),
    }
    assert full_shapes(cpu) == full_shapes(gpu)
    motion = parse_file(MODEL_REPOSITORY / "motion_head" / "config.pbtxt")
    for config in (gpu, cpu):
        assert (config.name, config.max_batch_size) == ("head_genre", 0)
        assert config.parameters["MAX_ROWS"].string_value == "256"
    assert (gpu.instance_group, gpu.dynamic_batching) == (motion.instance_group, motion.dynamic_batching)


def test_the_tensors_of_the_optional_models() -> None:
    uint8, fp32 = model_config_pb2.TYPE_UINT8, model_config_pb2.TYPE_FP32
    assert full_shapes(config_of("frame_encoder", "gpu")) == {
        "FRAME_CLIPS": (uint8, [-1, 240, 256, 3]),
        "FRAME_EMBEDDINGS": (fp32, [-1, 512]),
    }
    assert full_shapes(config_of("action_classifier", "gpu")) == {
        "ACTION_CLIPS": (uint8, [-1, CLIP_FRAMES, FRAME_SIZE, FRAME_SIZE, 3]),
        "ACTION_PROBABILITIES": (fp32, [-1, 400]),
    }
    assert full_shapes(config_of("frame_autoencoder", "gpu")) == {
        "FRAMES": (uint8, [-1, SIDE, SIDE, 3]),
        "LATENTS": (fp32, [-1, 8, 30, 30]),
    }
    for profile in PROFILES:
        (output,) = config_of("action_classifier", profile).output
        assert output.label_filename == "labels.txt"


@pytest.mark.parametrize("profile", ["gpu", "tensorrt"])
@pytest.mark.parametrize("model", list(VALUES))
def test_optional_models_on_a_gpu_have_queues_timeouts_and_warmup(model: str, profile: str) -> None:
    config = config_of(model, profile)
    camera = parse_file(MODEL_REPOSITORY / "camera_classifier" / "config.pbtxt")
    assert config.instance_group == camera.instance_group
    assert config.version_policy == camera.version_policy
    assert config.dynamic_batching.default_queue_policy == camera.dynamic_batching.default_queue_policy
    sizes = [warmup.batch_size for warmup in config.model_warmup]
    assert {1, config.max_batch_size} <= set(sizes)
    if profile == "gpu":
        expected = {
            "action_classifier": [*range(32, 0, -1)],
            "frame_encoder": [256, 128, 64, 32, 16, 1],
            "frame_autoencoder": [*range(16, 0, -1)],
        }
        assert sizes == expected[model]
        assert config.optimization == camera.optimization
    for warmup in config.model_warmup:
        (tensor,) = config.input
        given = warmup.inputs[tensor.name]
        assert (given.data_type, list(given.dims), given.zero_data) == (tensor.data_type, list(tensor.dims), True)
    optimum, maximum = BATCHES.get(model, (OPTIMUM_BATCH, MAXIMUM_BATCH))
    assert config.max_batch_size == maximum
    assert list(config.dynamic_batching.preferred_batch_size) == sorted({optimum, maximum})


def test_an_autoencoder_takes_a_part_of_a_video_at_once_and_is_exact() -> None:
    cpu = config_of("frame_autoencoder", "cpu")
    assert cpu.max_batch_size == PART
    assert cpu.parameters["PRECISION"].string_value == "f32"


def test_an_encoder_takes_all_frames_of_a_request_at_once() -> None:
    """A larger batch than `max_batch_size` is refused, and a request may ask for 256 frames."""
    assert config_of("frame_encoder", "cpu").max_batch_size == 256


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: "+".join(manifest) or "nothing")
def test_video_signals_has_everything_of_video_motion_and_what_is_there(manifest: dict[str, Any]) -> None:
    ensemble = parse(ensemble_config(manifest))
    assert (ensemble.name, ensemble.platform, ensemble.max_batch_size) == ("video_signals", "ensemble", 0)
    base = parse_file(MODEL_REPOSITORY / "video_motion" / "config.pbtxt")
    assert ensemble.input == base.input
    assert list(ensemble.output)[: len(base.output)] == list(base.output)
    types = model_config_pb2
    expected = {"SEGMENT_EMBEDDINGS": (types.TYPE_FP32, [-1, -1])}
    if "frames" in manifest:
        expected["FRAME_EMBEDDINGS"] = (types.TYPE_FP32, [-1, -1])
        expected["FRAME_SECONDS"] = (types.TYPE_FP32, [-1])
    if "actions" in manifest:
        expected["ACTION_PROBABILITIES"] = (types.TYPE_FP32, [-1, -1])
    if "metrics" in manifest:
        expected["METRICS"] = (types.TYPE_FP32, [-1, -1])
    for name in manifest.get("heads", {}):
        expected[f"HEAD_{name.upper()}"] = (types.TYPE_FP32, [1, -1])
    assert full_shapes(ensemble) == full_shapes(base) | expected
    steps = {step.model_name: step for step in ensemble.ensemble_scheduling.step}
    for step in base.ensemble_scheduling.step:
        added = set(steps[step.model_name].input_map) - set(step.input_map)
        assert added == ({"FRAME_ORDER", "METRIC_ORDER"} if step.model_name == "video_decode" else set())
        assert set(step.input_map) <= set(steps[step.model_name].input_map)
        assert set(step.output_map) <= set(steps[step.model_name].output_map)


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: "+".join(manifest) or "nothing")
def test_every_tensor_of_video_signals_has_one_source_and_no_output_is_an_input_of_a_step(
    manifest: dict[str, Any],
) -> None:
    """Triton would fail a request for some of the outputs."""
    ensemble = parse(ensemble_config(manifest))
    steps = ensemble.ensemble_scheduling.step
    made = [tensor for step in steps for tensor in step.output_map.values()]
    assert len(made) == len(set(made))
    taken = {tensor for step in steps for tensor in step.input_map.values()}
    outputs = {tensor.name for tensor in ensemble.output}
    assert not outputs & taken
    assert taken <= {*made, "VIDEO"}
    assert outputs <= set(made)
    assert taken | outputs >= set(made)
    models = [step.model_name for step in steps]
    assert ("frame_encoder" in models) == ("frames" in manifest)
    assert ("action_classifier" in models) == ("actions" in manifest)
    heads = manifest.get("heads", {})
    assert sorted(model for model in models if model.startswith("head_")) == sorted(f"head_{name}" for name in heads)
    # A copy only where a step needs the embeddings, too.
    assert models.count("embedding_copy") == 1 + any(head["on"] == "frames" for head in heads.values())


def test_the_steps_of_video_signals_name_the_tensors_of_their_models() -> None:
    manifest = MANIFESTS[4]
    copy = parse(model_files("embedding_copy")["config.pbtxt"])
    added = {"video_sampling": {"FRAME_SECONDS"}, "video_decode": {"FRAME_CLIPS"}}
    """What these two do not have yet."""
    for step in parse(ensemble_config(manifest)).ensemble_scheduling.step:
        if step.model_name.startswith("head_"):
            continue
        if step.model_name in VALUES:
            config = config_of(step.model_name, "cpu")
        elif step.model_name == "embedding_copy":
            config = copy
        else:
            path = MODEL_REPOSITORY / step.model_name
            cpu = path / "configs" / "cpu.pbtxt"
            config = parse_file(cpu if cpu.is_file() else path / "config.pbtxt")
        inputs, outputs = ({tensor.name for tensor in tensors} for tensors in (config.input, config.output))
        assert set(step.input_map) == inputs, step.model_name
        assert set(step.output_map) == outputs | added.get(step.model_name, set()), step.model_name


def test_the_files_of_video_signals() -> None:
    files = ensemble_files({"actions": {}})
    assert set(files) == {
        "video_signals/config.pbtxt",
        "video_signals/1/.gitkeep",
        "embedding_copy/config.pbtxt",
        "embedding_copy/1/model.py",
    }


def test_a_head_over_another_encoder_is_not_served() -> None:
    heads = {
        "a": {"model": "head_a", "on": "segments", "encoder": "motion@1"},
        "b": {"model": "head_b", "on": "segments", "encoder": "motion@2"},
        "c": {"model": "head_c", "on": "frames", "encoder": "frames@1"},
        "d": {"model": "head_d", "on": "frames", "encoder": "motion@1"},
    }
    manifest = {"motion": "motion@1", "frames": {"source": "frames@1"}, "heads": heads}
    assert other_encoders(manifest) == [
        "head_b learned from embeddings by motion@2, not by motion@1",
        "head_d learned from embeddings by motion@1, not by frames@1",
    ]


def test_a_server_with_such_a_head_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "video_motion").mkdir()
    (tmp_path / "video_motion" / "config.pbtxt").touch()
    for model in ("motion_backbone", "motion_head", "camera_classifier"):
        (tmp_path / model / "1").mkdir(parents=True)
        (tmp_path / model / "1" / "model.onnx").touch()
    head = {"model": "head_b", "on": "segments", "encoder": "motion@2"}
    (tmp_path / "weights.json").write_text(json.dumps({"motion": "motion@1", "camera": "c", "heads": {"b": head}}))
    found = [problem for problem in problems(tmp_path, "127.0.0.1", {}) if "/dev/shm" not in problem]
    assert found == ["head_b learned from embeddings by motion@2, not by motion@1: train it again, or --remove it"]


@pytest.mark.parametrize(
    ("files", "profile", "precision", "message"),
    [
        (["model.onnx", "model_fp16.onnx", "model_int8.xml"], "gpu", "auto", None),
        (["model.onnx"], "cpu", "auto", None),
        ([], "cpu", "auto", "has no frame_encoder, which weights.json names: export it again (--frames)"),
        (["model.onnx"], "gpu", "auto", "frame_encoder has no fp16 network for the GPU: export it again (--frames)"),
        (["model.onnx"], "cpu", "int8", "PRECISION is int8, but frame_encoder has no 8-bit network"),
    ],
)
def test_a_server_is_not_started_with_half_of_an_optional_network(
    files: list[str], profile: str, precision: str, message: str | None, tmp_path: Path
) -> None:
    names = ["model.onnx", "model_fp16.onnx", "model_int8.xml"]
    (tmp_path / "video_motion").mkdir()
    (tmp_path / "video_motion" / "config.pbtxt").touch()
    models = {"motion_backbone": names, "motion_head": names, "camera_classifier": names, "frame_encoder": files}
    for model, present in models.items():
        (tmp_path / model / "1").mkdir(parents=True)
        for name in present:
            (tmp_path / model / "1" / name).touch()
    manifest = {"motion": "m", "camera": "c", "frames": {"model": "frame_encoder"}}
    (tmp_path / "weights.json").write_text(json.dumps(manifest))
    found = problems(tmp_path, "127.0.0.1", {}, profile, precision)
    found = [problem for problem in found if "/dev/shm" not in problem]
    assert len(found) == (message is not None)
    assert message is None or message in found[0]
    (tmp_path / "weights.json").write_text(json.dumps({"frames": {"model": "frame_encoder"}}))
    (problem, *_) = problems(tmp_path, "127.0.0.1", {}, profile, precision)
    assert "has no networks yet" in problem
