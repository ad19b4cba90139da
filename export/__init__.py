"""Export of checkpoints into the model repository: `python -m export`, or `export.networks.export_networks`."""

from export.errors import ExportError, PlanRejected, SourceUnavailable
from export.source import (
    ACTIONS_REPOSITORY,
    AUTOENCODER_REPOSITORY,
    CAMERA_REPOSITORY,
    FRAMES_REPOSITORY,
    MOTION_REPOSITORY,
)

__all__ = [
    "ACTIONS_REPOSITORY",
    "AUTOENCODER_REPOSITORY",
    "CAMERA_REPOSITORY",
    "FRAMES_REPOSITORY",
    "MOTION_REPOSITORY",
    "ExportError",
    "PlanRejected",
    "SourceUnavailable",
]
