"""Every config.pbtxt of every profile, read with Triton's own protobuf."""

from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from tests.conftest import MODEL_REPOSITORY

MODELS = ("video_sampling", "video_decode", "motion_backbone", "motion_head", "camera_classifier", "video_motion")
CONFIGS = sorted(MODEL_REPOSITORY.glob("*/config.pbtxt")) + sorted(MODEL_REPOSITORY.glob("*/configs/*.pbtxt"))


def parse(path: Path) -> model_config_pb2.ModelConfig:
    return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())


def full_shapes(config: model_config_pb2.ModelConfig) -> dict[str, tuple[int, list[int]]]:
    """Type and shape of every tensor, its batch axis included."""
    leading = [-1] if config.max_batch_size else []
    return {tensor.name: (tensor.data_type, leading + list(tensor.dims)) for tensor in [*config.input, *config.output]}


def test_the_six_models_are_there_and_no_other():
    assert sorted(path.name for path in MODEL_REPOSITORY.iterdir() if path.is_dir()) == sorted(MODELS)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(MODEL_REPOSITORY)))
def test_a_config_parses_and_has_its_models_name(path: Path):
    model = path.relative_to(MODEL_REPOSITORY).parts[0]
    assert parse(path).name == model


@pytest.mark.parametrize("model", ["motion_backbone", "motion_head", "camera_classifier"])
def test_profiles_differ_in_how_a_network_runs_and_not_in_what_it_takes_and_gives(model: str):
    gpu, cpu = (parse(MODEL_REPOSITORY / model / name) for name in ("config.pbtxt", "configs/cpu.pbtxt"))
    assert full_shapes(gpu) == full_shapes(cpu)
    assert gpu.max_batch_size == cpu.max_batch_size
    assert (gpu.backend, cpu.backend) == ("onnxruntime", "openvino")


def test_the_ensemble_and_the_sampling_are_the_same_for_every_profile():
    for model in ("video_motion", "video_sampling"):
        assert [path.name for path in (MODEL_REPOSITORY / model).rglob("*.pbtxt")] == ["config.pbtxt"]


def test_the_contract_of_the_ensemble():
    config = parse(MODEL_REPOSITORY / "video_motion" / "config.pbtxt")
    types = model_config_pb2
    assert full_shapes(config) == {
        "VIDEO": (types.TYPE_UINT8, [1, -1]),
        "MOTION_SCORES": (types.TYPE_FP32, [1, 3]),
        "CAMERA_PROBABILITIES": (types.TYPE_FP32, [-1, -1]),
        "CLIP_SECONDS": (types.TYPE_FP32, [-1, 2]),
        "VIDEO_EMBEDDING": (types.TYPE_FP32, [1, -1]),
        "VIDEO_INFO": (types.TYPE_FP64, [1, 5]),
        "WEIGHTS": (types.TYPE_STRING, [1]),
    }


def test_no_output_of_the_ensemble_is_the_input_of_a_step():
    """Triton fails a request for a part of the outputs then."""
    config = parse(MODEL_REPOSITORY / "video_motion" / "config.pbtxt")
    outputs = {tensor.name for tensor in config.output}
    inputs = {tensor for step in config.ensemble_scheduling.step for tensor in step.input_map.values()}
    assert not outputs & inputs


@pytest.mark.parametrize("profile", ["config.pbtxt", "configs/cpu.pbtxt"])
def test_the_steps_fit_together_in_every_profile(profile: str):
    ensemble = parse(MODEL_REPOSITORY / "video_motion" / "config.pbtxt")
    shapes = full_shapes(ensemble)
    for step in ensemble.ensemble_scheduling.step:
        path = MODEL_REPOSITORY / step.model_name / profile
        config = parse(path if path.is_file() else MODEL_REPOSITORY / step.model_name / "config.pbtxt")
        own = full_shapes(config)
        for name, tensor in [*step.input_map.items(), *step.output_map.items()]:
            dtype, shape = own[name]
            known_dtype, known = shapes.setdefault(tensor, (dtype, shape))
            assert dtype == known_dtype, tensor
            assert len(shape) == len(known), tensor
            assert all(-1 in pair or pair[0] == pair[1] for pair in zip(shape, known, strict=True)), tensor
