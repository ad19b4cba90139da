"""Every config.pbtxt of every profile, read with Triton's own protobuf."""

import ast
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import json_format
from tritonclient.grpc import model_config_pb2

from backends.accelerators import accelerator_settings
from export.plans import MAXIMUM_BATCH, OPTIMUM_BATCH, PLAN
from server.proxy import MAX_IN_FLIGHT
from tests.configs import config_of, full_shapes, parse
from tests.conftest import BUILT, MODEL_REPOSITORY
from video.clips import CLIP_FRAMES, FRAME_SIZE
from video.decoding import decode
from video.parameters import MAX_SEGMENTS

MODELS = (
    *("video_sampling", "video_decode", "video_decode_nvdec"),
    *("motion_backbone", "motion_head", "camera_classifier", "video_motion"),
)
LARGE = ("motion_backbone", "camera_classifier")
OF_THE_CHECKPOINT = {"SEGMENT_EMBEDDINGS", "VIDEO_EMBEDDING", "CAMERA_PROBABILITIES"}
"""Tensors whose shapes are those of the exported checkpoint."""
PROFILES = ("gpu", "cpu", "tensorrt")
CONFIGS = [
    path
    for model in MODELS
    for pattern in ("config.pbtxt", "configs/*.pbtxt")
    for path in sorted((MODEL_REPOSITORY / model).glob(pattern))
]


def test_the_repository_has_exactly_the_seven_models() -> None:
    exported = {path for pattern in BUILT for path in MODEL_REPOSITORY.glob(pattern)}  # by the developer
    folders = {path for path in MODEL_REPOSITORY.iterdir() if path.is_dir()}
    assert sorted(path.name for path in folders - exported) == sorted(MODELS)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(MODEL_REPOSITORY)))
def test_a_config_parses_and_names_its_model(path: Path) -> None:
    model = path.relative_to(MODEL_REPOSITORY).parts[0]
    assert parse(path).name == model


@pytest.mark.parametrize("model", ["motion_backbone", "motion_head", "camera_classifier"])
def test_a_network_has_the_same_tensors_in_every_profile(model: str) -> None:
    gpu, cpu, tensorrt = (config_of(model, profile) for profile in ("gpu", "cpu", "tensorrt"))
    assert full_shapes(gpu) == full_shapes(tensorrt)
    assert full_shapes(gpu).items() <= full_shapes(cpu).items()
    assert gpu.max_batch_size == cpu.max_batch_size == tensorrt.max_batch_size
    assert (gpu.backend, cpu.backend) == ("onnxruntime", "openvino")


@pytest.mark.parametrize("profile", ["gpu", "tensorrt"])
def test_shapes_of_a_checkpoint_are_left_for_triton_to_complete(profile: str) -> None:
    """Native backends refuse -1. onnxruntime completes a list only if it is empty, tensorrt each tensor."""
    for model in ("motion_backbone", "motion_head", "camera_classifier"):
        config, open_config = config_of(model, profile), config_of(model, "cpu")
        for tensors, open_tensors in ((config.input, open_config.input), (config.output, open_config.output)):
            depends = {tensor.name for tensor in open_tensors if tensor.name in OF_THE_CHECKPOINT}
            if depends and config.backend == "onnxruntime":
                assert not tensors
            assert not any(tensor.dims for tensor in tensors if tensor.name in depends)


def test_the_large_networks_of_the_tensorrt_profile_are_plans_and_the_rest_is_the_gpu_profiles() -> None:
    for model in MODELS:
        config = config_of(model, "tensorrt")
        if model in LARGE:
            assert (config.backend, config.platform) == ("tensorrt", "tensorrt_plan")
            assert config.default_model_filename == PLAN
        else:
            assert config == config_of(model, "gpu")


def test_a_plan_takes_the_batches_that_its_configuration_sends() -> None:
    for model in LARGE:
        config = config_of(model, "tensorrt")
        assert config.max_batch_size == MAXIMUM_BATCH
        assert config.dynamic_batching.preferred_batch_size == [OPTIMUM_BATCH, MAXIMUM_BATCH]


@pytest.mark.parametrize("profile", ["gpu", "tensorrt"])
def test_models_on_a_gpu_have_queues_timeouts_and_warmup(profile: str) -> None:
    for model in ("video_decode_nvdec", "motion_backbone", "motion_head", "camera_classifier"):
        config = config_of(model, profile)
        assert [group.kind for group in config.instance_group] == [model_config_pb2.ModelInstanceGroup.KIND_GPU]
        assert config.version_policy.latest.num_versions == 1
        policy = config.dynamic_batching.default_queue_policy
        assert policy.max_queue_size == 64
        assert policy.default_timeout_microseconds == 60_000_000
        assert policy.allow_timeout_override
    for model in LARGE:
        config = config_of(model, profile)
        assert 0 < config.dynamic_batching.max_queue_delay_microseconds <= 5000
        # The smallest and the largest batch are warmed up; one video alone may fill the latter. cuDNN's attention is
        # prepared for each size, so ONNX Runtime gets every batch that the batcher makes.
        sizes = [warmup.batch_size for warmup in config.model_warmup]
        every = list(range(config.max_batch_size, 0, -1))
        assert sizes == (every if profile == "gpu" else [1, config.max_batch_size])


def test_onnxruntime_chooses_attention_by_the_gpu_and_normalises_in_float32() -> None:
    for model in MODELS:
        for profile in PROFILES:
            options = accelerator_settings(
                json_format.MessageToDict(config_of(model, profile), preserving_proto_field_name=True)
            )
            if model in LARGE and profile == "gpu":
                # Not a bit mask, which would pin the same kernel for every GPU.
                assert options == {"cuda.sdpa_kernel": "0", "cuda.enable_skip_layer_norm_strict_mode": "1"}
            else:
                assert options == {}


def test_warmup_has_every_input_with_its_type_and_shape() -> None:
    warmed = [path for path in CONFIGS if parse(path).model_warmup]
    assert {path.relative_to(MODEL_REPOSITORY).parts[0] for path in warmed} == {"video_decode_nvdec", *LARGE}
    for path in warmed:
        config = parse(path)
        for warmup in config.model_warmup:
            assert warmup.batch_size <= config.max_batch_size or not config.max_batch_size
            assert set(warmup.inputs) == {tensor.name for tensor in config.input}
            for tensor in config.input:
                given = warmup.inputs[tensor.name]
                assert given.data_type == tensor.data_type
                assert all(-1 in pair or pair[0] == pair[1] for pair in zip(given.dims, tensor.dims, strict=True))
                if not given.zero_data:
                    size = (MODEL_REPOSITORY / config.name / "warmup" / given.input_data_file).stat().st_size
                    assert (
                        size
                        == given.dims[0]
                        * {model_config_pb2.TYPE_UINT8: 1, model_config_pb2.TYPE_INT32: 4}[given.data_type]
                    )


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(MODEL_REPOSITORY)))
def test_every_clip_has_the_shape_that_the_code_makes(path: Path) -> None:
    config = parse(path)
    clips = [tensor for tensor in [*config.input, *config.output] if tensor.name in ("MOTION_CLIPS", "CAMERA_CLIPS")]
    clips += [
        warmup.inputs[name] for warmup in config.model_warmup for name in warmup.inputs if name.endswith("_CLIPS")
    ]
    assert bool(clips) == (config.name in ("video_decode", "video_decode_nvdec", *LARGE))
    for tensor in clips:
        assert list(tensor.dims)[-4:] == [CLIP_FRAMES, FRAME_SIZE, FRAME_SIZE, 3]
    if config.name in LARGE:
        assert config.max_batch_size == MAX_SEGMENTS


def test_the_pipeline_for_dali_makes_the_same_clips() -> None:
    # Triton's dali backend runs the file by itself: it cannot import the constants.
    pipeline = ast.parse((MODEL_REPOSITORY / "video_decode_nvdec" / "1" / "dali.py").read_text())
    constants = {
        node.targets[0].id: node.value.value
        for node in pipeline.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    assert (constants["FRAMES_OF_CLIP"], constants["SIZE"]) == (CLIP_FRAMES, FRAME_SIZE)


def test_the_video_of_the_warmup_can_be_decoded() -> None:
    directory = MODEL_REPOSITORY / "video_decode_nvdec" / "warmup"
    indices, motion, camera = (
        np.fromfile(directory / name, np.int32) for name in ("FRAME_INDICES", "MOTION_ORDER", "CAMERA_ORDER")
    )
    out = np.zeros((32, 224, 224, 3), np.uint8)
    decode(BytesIO((directory / "VIDEO").read_bytes()), indices, motion, camera, 224, out)
    assert (out.reshape(32, -1).std(axis=1) > 10).all()


def test_the_ensemble_is_the_same_for_every_profile() -> None:
    assert [path.name for path in (MODEL_REPOSITORY / "video_motion").rglob("*.pbtxt")] == ["config.pbtxt"]


def test_video_sampling_differs_in_precision_decoder_limit_and_instances_only() -> None:
    gpu, cpu = config_of("video_sampling", "gpu"), config_of("video_sampling", "cpu")
    assert gpu.parameters.pop("PRECISION").string_value == "fp16"
    assert gpu.parameters.pop("NVDEC_READS").string_value == "auto"
    assert gpu.parameters.pop("DALI_DEVICE").string_value == "mixed"
    assert int(gpu.parameters.pop("MAX_DECODED_BYTES").string_value) == 8_000_000_000
    # In every profile, video_decode has these.
    for name in ("MAX_DECODED_PIXELS", "MAX_DECODED_PIXELS_PER_BYTE"):
        assert gpu.parameters.pop(name) == config_of("video_decode", "cpu").parameters[name]
    # The cpu profile has one more than the proxy lets one caller use.
    assert (gpu.instance_group.pop().count, cpu.instance_group.pop().count) == (2, 3)
    assert gpu == cpu


def test_video_decode_is_the_same_python_model_in_every_profile_and_only_those_with_a_gpu_call_nvdec() -> None:
    gpu, cpu = config_of("video_decode", "gpu"), config_of("video_decode", "cpu")
    assert (gpu.backend, gpu.default_model_filename) == ("python", "decode.py")
    assert float(gpu.parameters.pop("NVDEC_SECONDS").string_value) == 60
    sessions = config_of("video_decode_nvdec", "gpu").instance_group[0].count
    # A session that nobody calls would be idle, and so would the CPU if all wait for sessions.
    assert sessions + cpu.instance_group.pop().count <= gpu.instance_group.pop().count <= MAX_IN_FLIGHT
    assert gpu == cpu


def test_the_cpu_profile_needs_no_dali_and_no_process_for_nvdec() -> None:
    config = config_of("video_decode_nvdec", "cpu")
    assert (config.platform, config.backend, len(config.instance_group)) == ("ensemble", "", 0)
    assert [step.model_name for step in config.ensemble_scheduling.step] == ["video_decode"]
    gpu = config_of("video_decode_nvdec", "gpu")
    assert {tensor.name for tensor in config.input} == {tensor.name for tensor in gpu.input}
    assert full_shapes(config).keys() == full_shapes(gpu).keys()


def test_the_contract_of_the_ensemble() -> None:
    config = parse(MODEL_REPOSITORY / "video_motion" / "config.pbtxt")
    types = model_config_pb2
    assert full_shapes(config) == {
        "VIDEO": (types.TYPE_UINT8, [1, -1]),
        "MOTION_SCORES": (types.TYPE_FP32, [1, 3]),
        "CAMERA_PROBABILITIES": (types.TYPE_FP32, [-1, -1]),
        "CLIP_SECONDS": (types.TYPE_FP32, [-1, 2]),
        "VIDEO_EMBEDDING": (types.TYPE_FP32, [1, -1]),
        "VIDEO_INFO": (types.TYPE_FP64, [1, 5]),
        "HEADER_DURATION_SECONDS": (types.TYPE_FP64, [1]),
        "DECODED_SHARE": (types.TYPE_FP32, [1, 1]),
        "DECODER": (types.TYPE_STRING, [1]),
        "WEIGHTS": (types.TYPE_STRING, [1]),
    }


def test_no_output_of_the_ensemble_is_the_input_of_a_step() -> None:
    """Triton would fail a request for some of the outputs."""
    config = parse(MODEL_REPOSITORY / "video_motion" / "config.pbtxt")
    outputs = {tensor.name for tensor in config.output}
    inputs = {tensor for step in config.ensemble_scheduling.step for tensor in step.input_map.values()}
    assert not outputs & inputs


@pytest.mark.parametrize("profile", PROFILES)
def test_the_steps_fit_together_in_every_profile(profile: str) -> None:
    ensemble = parse(MODEL_REPOSITORY / "video_motion" / "config.pbtxt")
    shapes = full_shapes(ensemble)
    for step in ensemble.ensemble_scheduling.step:
        own = full_shapes(config_of(step.model_name, profile))
        for name, tensor in [*step.input_map.items(), *step.output_map.items()]:
            if name not in own:  # the native backend takes it from the network, whose shape the cpu profile has
                own[name] = full_shapes(config_of(step.model_name, "cpu"))[name]
            dtype, shape = own[name]
            known_dtype, known = shapes.setdefault(tensor, (dtype, shape))
            assert dtype == known_dtype, tensor
            assert len(shape) == len(known), tensor
            assert all(-1 in pair or pair[0] == pair[1] for pair in zip(shape, known, strict=True)), tensor
