"""The errors of the 8-bit networks that the export stated in `weights.json`."""

import json
from pathlib import Path

NETWORKS = ("motion_backbone", "camera_classifier")
OPTIONAL = ("frames", "actions")
"""Keys of `weights.json` with the optional networks that have an 8-bit form."""


def stated_errors(model_repository: Path) -> dict[str, float]:
    """By 8-bit precision, the largest error of a network of the repository.

    Empty, or without a precision, if a network has no 8-bit form or no stated error. A damaged or missing
    `weights.json` is an empty one here: `server.preflight` names it.
    """
    try:
        manifest = json.loads((model_repository / "weights.json").read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(manifest, dict):
        return {}
    models = [*NETWORKS, *(manifest[key]["model"] for key in OPTIONAL if key in manifest)]
    if any(not list(model_repository.glob(f"{model}/[0-9]*/model_int8.xml")) for model in models):
        return {}
    stated = [manifest.get("int8", {}).get(model, {}).get("errors", {}) for model in models]
    common = set.intersection(*(set(errors) for errors in stated))
    return {precision: max(errors[precision] for errors in stated) for precision in common}
