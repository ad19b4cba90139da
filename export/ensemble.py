"""The ensemble `video_signals`: everything of `video_motion`, and the signals of the optional networks that are there.

Its configuration is written from `weights.json`. A tensor must not be both an output of the ensemble and the input of
a step, because Triton then fails requests for some of the outputs: embeddings that a step needs are exposed as copies,
made by the last step `embedding_copy`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from export.configs import model_files
from export.manifest import ACTIONS_MODEL, FRAMES_MODEL, HEAD_MODEL, Manifest

ENSEMBLE = "video_signals"
COPY_MODEL = "embedding_copy"
PLANNED = (
    *("FRAME_INDICES", "MOTION_ORDER", "CAMERA_ORDER", "FRAME_ORDER", "METRIC_ORDER", "FRAME_SIZE", "ORIENTATION"),
    *("STRIPPED_VIDEO", "STRIPPED_INDICES", "PLANNED_DECODER"),
)
"""What `video_decode` gets from `video_sampling`."""
DESCRIBED = ("CLIP_SECONDS", "VIDEO_INFO", "HEADER_DURATION_SECONDS", "DECODED_SHARE", "WEIGHTS")
"""Outputs of `video_sampling` that are the ensemble's own."""


@dataclass(frozen=True)
class Output:
    """An output of the ensemble."""

    name: str
    dtype: str
    dims: tuple[int, ...]
    """-1 for an axis that depends on the video or the checkpoint."""


@dataclass(frozen=True)
class Step:
    """A model of the ensemble."""

    model: str
    inputs: Mapping[str, str]
    """The tensor of the ensemble for each input of the model."""
    outputs: Mapping[str, str]
    """The same for its outputs."""


BASE_OUTPUTS = (
    Output("MOTION_SCORES", "FP32", (1, 3)),
    Output("CAMERA_PROBABILITIES", "FP32", (-1, -1)),
    Output("CLIP_SECONDS", "FP32", (-1, 2)),
    Output("VIDEO_EMBEDDING", "FP32", (1, -1)),
    Output("VIDEO_INFO", "FP64", (1, 5)),
    Output("HEADER_DURATION_SECONDS", "FP64", (1,)),
    Output("DECODED_SHARE", "FP32", (1, 1)),
    Output("DECODER", "STRING", (1,)),
    Output("WEIGHTS", "STRING", (1,)),
    Output("SEGMENT_EMBEDDINGS", "FP32", (-1, -1)),
)


def ensemble_files(manifest: Manifest) -> dict[str, str]:
    """The files of `video_signals` and of the model that copies embeddings, by their paths in the model repository."""
    copies = {f"{COPY_MODEL}/{name}": text for name, text in model_files(COPY_MODEL).items()}
    # Triton wants a version of an ensemble, too; it is empty.
    return {f"{ENSEMBLE}/config.pbtxt": ensemble_config(manifest), f"{ENSEMBLE}/1/.gitkeep": "", **copies}


def ensemble_config(manifest: Manifest) -> str:
    """The `config.pbtxt` of `video_signals` for the networks that `manifest` names."""
    outputs = ",\n".join(
        f'  {{ name: "{output.name}" data_type: TYPE_{output.dtype} dims: [ {", ".join(map(str, output.dims))} ] }}'
        for output in ensemble_outputs(manifest)
    )
    steps = ",\n".join(_render(step) for step in ensemble_steps(manifest))
    return f"""\
# Every signal of an encoded video: written by the export, from the networks that are there. The same for every profile.
name: "{ENSEMBLE}"
platform: "ensemble"
max_batch_size: 0

input [
  {{ name: "VIDEO" data_type: TYPE_UINT8 dims: [ 1, -1 ] }}
]
output [
{outputs}
]

ensemble_scheduling {{
  step [
{steps}
  ]
}}
"""


def ensemble_outputs(manifest: Manifest) -> Iterator[Output]:
    """The outputs of the ensemble."""
    yield from BASE_OUTPUTS
    if "frames" in manifest:
        yield Output("FRAME_EMBEDDINGS", "FP32", (-1, -1))
        yield Output("FRAME_SECONDS", "FP32", (-1,))
    if "actions" in manifest:
        yield Output("ACTION_PROBABILITIES", "FP32", (-1, -1))
    if "metrics" in manifest:
        yield Output("METRICS", "FP32", (-1, -1))
    for name in manifest.get("heads", {}):
        yield Output(_head_output(name), "FP32", (1, -1))


def ensemble_steps(manifest: Manifest) -> Iterator[Step]:
    """The steps of the ensemble, in the order of the data."""
    frames, heads = "frames" in manifest, manifest.get("heads", {})
    frame_heads = any(head["on"] == "frames" for head in heads.values())
    seconds, clips = (("FRAME_SECONDS",), ("FRAME_CLIPS",)) if frames else ((), ())
    metrics = ("METRICS",) if "metrics" in manifest else ()
    decoded = ("MOTION_CLIPS", "CAMERA_CLIPS", "DECODER", *clips, *metrics)
    yield Step("video_sampling", _same("VIDEO"), _same(*PLANNED, *DESCRIBED, *seconds))
    yield Step("video_decode", _same("VIDEO", *PLANNED), _same(*decoded))
    yield Step("motion_backbone", _same("MOTION_CLIPS"), {"SEGMENT_EMBEDDINGS": "segment_embeddings"})
    yield Step("motion_head", {"SEGMENT_EMBEDDINGS": "segment_embeddings"}, _same("MOTION_SCORES", "VIDEO_EMBEDDING"))
    yield Step("camera_classifier", _same("CAMERA_CLIPS"), _same("CAMERA_PROBABILITIES"))
    if "actions" in manifest:
        yield Step(ACTIONS_MODEL, {"ACTION_CLIPS": "CAMERA_CLIPS"}, _same("ACTION_PROBABILITIES"))
    if frames:
        # Without heads over frames, no step needs the embeddings, and no copy either.
        embeddings = "frame_embeddings" if frame_heads else "FRAME_EMBEDDINGS"
        yield Step(FRAMES_MODEL, _same("FRAME_CLIPS"), {"FRAME_EMBEDDINGS": embeddings})
    for name, head in heads.items():
        inputs = {"EMBEDDINGS": "frame_embeddings" if head["on"] == "frames" else "segment_embeddings"}
        yield Step(HEAD_MODEL + name, inputs, {"PROBABILITIES": _head_output(name)})
    yield Step(COPY_MODEL, {"EMBEDDINGS": "segment_embeddings"}, {"COPY": "SEGMENT_EMBEDDINGS"})
    if frame_heads:
        yield Step(COPY_MODEL, {"EMBEDDINGS": "frame_embeddings"}, {"COPY": "FRAME_EMBEDDINGS"})


def _head_output(name: str) -> str:
    return f"HEAD_{name.upper()}"


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def _render(step: Step) -> str:
    maps = [
        f'      {kind}_map {{ key: "{key}" value: "{tensor}" }}'
        for kind, tensors in (("input", step.inputs), ("output", step.outputs))
        for key, tensor in tensors.items()
    ]
    return "\n".join(["    {", f'      model_name: "{step.model}"', "      model_version: -1", *maps, "    }"])
