"""`weights.json`: what a model repository serves, and where each network's weights come from.

`motion`, `camera`, `labels` and `shortest_edge` are the two networks of `video_motion`. The optional networks have one
key each, only while they are there: `frames`, `text`, `actions`, `autoencoder`, and `heads`, an object with a key for
each head. `metrics` names the measures, in the order of the columns of METRICS.
"""

import json
from pathlib import Path
from typing import Any

from export.errors import ExportError
from export.repository import MANIFEST

FRAMES_MODEL = "frame_encoder"
TEXT_ENCODER_MODEL, TEXT_MODEL = "text_encoder", "text_embedding"
"""From token numbers, and from a sentence: the second tokenizes and asks the first."""
ACTIONS_MODEL = "action_classifier"
AUTOENCODER_MODEL = "frame_autoencoder"
HEAD_MODEL = "head_"
"""What the name of a head's model begins with."""
MODELS = {
    "frames": FRAMES_MODEL,
    "text": TEXT_ENCODER_MODEL,
    "actions": ACTIONS_MODEL,
    "autoencoder": AUTOENCODER_MODEL,
}
COMPANIONS = {TEXT_ENCODER_MODEL: TEXT_MODEL}
"""Models that come and go with another."""

Manifest = dict[str, Any]


def read_manifest(root: Path, *, needed: bool) -> Manifest:
    """The content of `weights.json`, empty if there is none.

    If the file is damaged: `ExportError` if it is `needed`, because an export adds to it; otherwise empty.
    """
    path = root / MANIFEST
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        content = None
    if isinstance(content, dict):
        return content
    if needed:
        raise ExportError(f"{path} is damaged: export the motion predictor and the camera classifier again first")
    return {}


def optional_models(content: Manifest) -> list[str]:
    """The models of the optional networks."""
    networks = [model for key, model in MODELS.items() if key in content]
    return networks + [HEAD_MODEL + name for name in content.get("heads", {})]


def remove_network(content: Manifest, name: str) -> str:
    """Take a network (a key of `MODELS`, or `head_NAME`) out, and return its model, whose name it may be called by.

    `ExportError` names what is there if it is not there.
    """
    keys = {model: key for key, model in MODELS.items()}
    key = keys.get(name, name)
    if key in MODELS and key in content:
        del content[key]
        return MODELS[key]
    heads = content.get("heads", {})
    if name.startswith(HEAD_MODEL) and name.removeprefix(HEAD_MODEL) in heads:
        del heads[name.removeprefix(HEAD_MODEL)]
        if not heads:
            del content["heads"]
        return name
    if name in ("motion", "camera"):
        raise ExportError(f"{name} cannot be removed: video_motion needs it")
    there = [keys.get(model, model) for model in optional_models(content)]
    raise ExportError(f"cannot remove {name}: the optional networks are {', '.join(there) or 'none'}")


def check_manifest(content: Manifest, root: Path, removed: list[str]) -> None:
    """Raise `ExportError` if the networks of `content` do not fit together, or `root` has others."""
    if "actions" in content and "camera" in content and content["actions"]["shortest_edge"] != content["shortest_edge"]:
        raise ExportError(
            "the action classifier and the camera classifier get the same clips, but their checkpoints want frames "
            f"resized to {content['actions']['shortest_edge']} and {content['shortest_edge']} pixels"
        )
    for name, head in content.get("heads", {}).items():
        _check_head(content, HEAD_MODEL + name, head)
    if "text" in content and content.get("frames", {}).get("source") != content["text"]["source"]:
        image = content.get("frames", {}).get("source", "none")
        raise ExportError(
            f"the text encoder is that of {content['text']['source']}, the image encoder is {image}: export both "
            "together (--frames SOURCE --text), or --remove text"
        )
    known = {*optional_models(content), *removed}
    known |= {COMPANIONS[model] for model in known if model in COMPANIONS}
    optional = [*MODELS.values(), *COMPANIONS.values(), *(path.name for path in sorted(root.glob(f"{HEAD_MODEL}*")))]
    if unknown := [model for model in optional if (root / model).is_dir() and model not in known]:
        raise ExportError(
            f"{root} has {', '.join(unknown)}, which {MANIFEST} does not name: export it again, or delete the folder"
        )


def _check_head(content: Manifest, model: str, head: dict[str, Any]) -> None:
    on = head["on"]
    encoder = content.get("frames", {}).get("source") if on == "frames" else content.get("motion")
    remedy = f"train it again on embeddings of the latter, or remove it (--remove {model})"
    if encoder is None:
        network = "image encoder (--frames)" if on == "frames" else "motion predictor (--motion)"
        raise ExportError(f"{model} needs the {network}, which is not there: export it, or --remove {model}")
    if encoder != head["encoder"]:
        raise ExportError(f"{model} learned from embeddings by {head['encoder']}, not by {encoder}: {remedy}")
