"""Heads and the encoders whose embeddings they learned from, as `weights.json` names them."""

from collections.abc import Mapping
from typing import Any


def other_encoders(manifest: Mapping[str, Any]) -> list[str]:
    """A sentence for each head over another encoder than the one that is there."""
    found = []
    for head in manifest.get("heads", {}).values():
        encoder = manifest.get("frames", {}).get("source") if head["on"] == "frames" else manifest.get("motion")
        if head["encoder"] != encoder:
            found.append(f"{head['model']} learned from embeddings by {head['encoder']}, not by {encoder}")
    return found
