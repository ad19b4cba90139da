"""What a video takes in the pools of the networks: of every network that is exported."""

from typing import Any

import pytest

from export.ensemble import ensemble_steps
from video.parameters import MAX_SEGMENTS
from video.pool_needs import network_needs
from video.shared_memory import PIECE_BYTES

CLIPS = {"MOTION_CLIPS": 3 << 20, "CAMERA_CLIPS": 5 << 20, "FRAME_CLIPS": 7 << 20}
EMBEDDINGS = 2 << 20
HEADS = {"genre": {"on": "frames"}, "static_pan": {"on": "segments"}}
MANIFESTS: list[dict[str, Any]] = [
    {},
    {"actions": {}},
    {"frames": {}},
    {"frames": {}, "actions": {}, "heads": HEADS, "metrics": ["frames"]},
]


def needs_of(models: set[str], *, frames: bool = True) -> dict[str, int]:
    motion, camera, of_frames = CLIPS.values()
    frame_bytes, embedding_bytes = (of_frames, EMBEDDINGS) if frames else (0, 0)
    return network_needs(
        models,
        motion_bytes=motion,
        camera_bytes=camera,
        frame_bytes=frame_bytes,
        embedding_bytes=embedding_bytes,
    )


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: "+".join(manifest) or "nothing")
def test_every_step_of_video_signals_that_gets_clips_or_embeddings_of_frames_is_counted(
    manifest: dict[str, Any],
) -> None:
    steps = [step for step in ensemble_steps(manifest) if step.model not in ("video_sampling", "video_decode")]
    needs = needs_of({step.model for step in steps})
    for step in steps:
        tensors = [*step.inputs.values(), *step.outputs.values()]
        size = sum(CLIPS.get(tensor, 0) + EMBEDDINGS * (tensor.lower() == "frame_embeddings") for tensor in tensors)
        assert needs.get(step.model, 0) >= size, step.model


def test_a_request_without_frames_takes_nothing_of_the_image_encoder_and_what_follows_it() -> None:
    assert needs_of({"head_genre", "frame_encoder"}, frames=False) == {
        "motion_backbone": CLIPS["MOTION_CLIPS"],
        "camera_classifier": CLIPS["CAMERA_CLIPS"],
        "action_classifier": CLIPS["CAMERA_CLIPS"],
    }


def test_embeddings_of_segments_fit_into_the_piece_beside_the_needs() -> None:
    """Of the most segments and the widest published backbone, VideoMAEv2-giant, before and after a copy."""
    assert 2 * MAX_SEGMENTS * 1408 * 4 < PIECE_BYTES
