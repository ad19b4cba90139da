"""The error of the 8-bit networks that the export stated in `weights.json`."""

import json
from pathlib import Path

NETWORKS = ("motion_backbone", "camera_classifier")
OPTIONAL = ("frames", "actions")
"""Keys of `weights.json` with the optional networks that have an 8-bit form."""


def stated_error(model_repository: Path) -> float | None:
    """The largest stated error of a network of the repository; None if one has no 8-bit form or no stated error.

    A damaged or missing `weights.json` is an empty one here: `server.preflight` names it.
    """
    try:
        manifest = json.loads((model_repository / "weights.json").read_text())
    except (OSError, ValueError):
        return None
    try:
        models = [*NETWORKS, *(manifest[key]["model"] for key in OPTIONAL if key in manifest)]
        errors = [manifest.get("int8", {}).get(model, {}).get("error") for model in models]
    except (AttributeError, KeyError, TypeError):  # other JSON than the export writes
        return None
    if any(not list(model_repository.glob(f"{model}/[0-9]*/model_int8.xml")) for model in models):
        return None
    return max(errors) if all(isinstance(error, int | float) and error >= 0 for error in errors) else None
