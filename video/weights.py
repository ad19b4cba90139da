"""What the output WEIGHTS says of the networks that are served."""

from collections.abc import Mapping
from typing import Any

FIELDS = ("motion", "camera", "labels", "shortest_edge")
"""Of the motion predictor and the camera classifier."""
OF_OPTIONAL = {
    "frames": ("source", "architecture", "dimensions"),
    "text": ("source", "architecture", "dimensions", "max_tokens"),
    "actions": ("source", "labels"),
    "autoencoder": ("source",),
}
"""Of the optional networks."""
OF_HEAD = ("source", "on", "encoder", "labels")
"""Of a head."""


def described(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `weights.json` that callers need: sources, labels in the order of the columns, and encoders."""
    content = {name: manifest[name] for name in FIELDS}
    for network, fields in OF_OPTIONAL.items():
        if network in manifest:
            content[network] = {field: manifest[network][field] for field in fields}
    if "metrics" in manifest:
        content["metrics"] = manifest["metrics"]  # the columns of METRICS
    if heads := manifest.get("heads"):
        content["heads"] = {name: {field: head.get(field) for field in OF_HEAD} for name, head in heads.items()}
    return content
