"""What a video takes in the pools of the networks that get its clips or embeddings."""

from collections.abc import Collection


def network_needs(
    models: Collection[str], *, motion_bytes: int, camera_bytes: int, frame_bytes: int, embedding_bytes: int
) -> dict[str, int]:
    """By model, the bytes of the video's tensors, for `check_room`.

    `models` are those that have a pool: a network may have been loaded after the model that asks. `motion_bytes`,
    `camera_bytes` and `frame_bytes` are those of the clips of each kind, `embedding_bytes` those of the embeddings of
    frames. Embeddings of segments are not counted: they fit into the piece that each pool has beside its needs.
    """
    needs = {"motion_backbone": motion_bytes, "camera_classifier": camera_bytes, "action_classifier": camera_bytes}
    if frame_bytes:
        needs |= {"frame_encoder": frame_bytes + embedding_bytes, "embedding_copy": 2 * embedding_bytes}
        needs |= {model: embedding_bytes for model in models if model.startswith("head_")}
    return needs
