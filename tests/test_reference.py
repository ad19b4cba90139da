"""Networks of the published size, in a server, compared with the published implementation.

`tests/reference` has the outputs of the published motion predictor and transformers 4.46 on the three real videos, for
random weights with seed 0. The bounds are differences that a user would notice; the measured ones are far smaller.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest

from export.networks import export_networks
from server import Settings
from tests.conftest import REFERENCE, copy_repository, serve_gpu_profile_on_cpu
from tests.test_serve import drain, serving

BOUNDS = {"f32": (0.001, 0.001), "bf16": (0.02, 0.01), "fp16": (0.01, 0.01)}
LAYERS = {"motion_backbone": 12, "camera_classifier": 24}


@pytest.fixture(scope="module")
def full_size_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = copy_repository(tmp_path_factory.mktemp("full") / "model_repository")
    export_networks("random:0", "random:0", repository)
    return repository


@pytest.mark.slow
@pytest.mark.parametrize("model", list(LAYERS))
def test_onnx_runtime_keeps_attention_as_one_node_for_each_layer(
    model: str, full_size_repository: Path, tmp_path: Path
) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    path = full_size_repository / model / "1" / "model_fp16.onnx"
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    nodes = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert nodes.count("MultiHeadAttention") == LAYERS[model]
    assert "Softmax" not in nodes


@pytest.mark.slow
@pytest.mark.parametrize("precision", list(BOUNDS))
def test_scores_and_probabilities_match_the_reference(
    precision: str, full_size_repository: Path, reference_videos: dict[str, Path]
) -> None:
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bf16" and "BF16" not in capabilities:
        pytest.skip("this CPU has no bf16 instructions")
    # The other videos would take minutes, and this one shows the same differences.
    names = list(reference_videos) if precision == "f32" else ["carphone_pristine"]
    videos = {name: reference_videos[name] for name in names}
    motion, camera = (np.load(REFERENCE / f"{name}_seed0.npz") for name in ("motion", "camera"))
    score_bound, probability_bound = BOUNDS[precision]
    if precision == "fp16":
        # ONNX Runtime has few fp16 kernels for CPUs. It computes in float32 between casts, which round as on a GPU.
        models = ["video_sampling", *LAYERS]
        serve_gpu_profile_on_cpu(full_size_repository, models, warmup=False)
        precision_of_server = "auto"
    else:
        precision_of_server = precision
    settings = Settings.on_free_ports(full_size_repository, precision=precision_of_server)
    # Supervised: if the machine stalls for a second during a long request, Triton gives up a healthy stub process, and
    # crashes when its answer arrives late.
    with serving(settings) as server:
        lines = drain(server.stdout)
        # One in flight: on a CPU, several would exceed the queue timeout of the gpu profile.
        command = [sys.executable, "-m", "client.score", "--url", f"localhost:{settings.grpc_port}", "--in-flight", "1"]
        command += map(str, videos.values())
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        assert result.returncode == 0, f"{result.stdout}\n{result.stderr}\n{''.join(lines)}"
    assert "random weights: these scores mean nothing" in result.stderr
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    for name, answer in zip(videos, answers, strict=True):
        assert answer["weights"]["precision"] == precision
        assert answer["weights"]["motion"] == "random:0 (stand-in weights, the figures mean nothing)"
        scores = np.array(list(answer["motion"].values()))
        probabilities = np.array([list(clip["probabilities"].values()) for clip in answer["camera"]])
        clip_seconds = [[clip["start_seconds"], clip["end_seconds"]] for clip in answer["camera"]]
        score_difference = np.abs(scores - motion[f"{name}_mp4/scores"]).max()
        probability_difference = np.abs(probabilities - camera[f"{name}_mp4/probabilities"]).max()
        print(f"{precision} {name}: scores {score_difference:.1e}, probabilities {probability_difference:.1e}")
        assert score_difference < score_bound
        assert probability_difference < probability_bound
        np.testing.assert_allclose(clip_seconds, camera[f"{name}_mp4/clip_seconds"], atol=1e-6)
        assert answer["info"]["frames"] == motion[f"{name}_mp4/decoded_frames"]
