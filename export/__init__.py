"""Export of checkpoints into the model repository: `python -m export`, or `export.networks.export_networks`."""

from export.errors import ExportError, PlanRejected, SourceUnavailable
from export.source import CAMERA_REPOSITORY, MOTION_REPOSITORY

__all__ = ["CAMERA_REPOSITORY", "MOTION_REPOSITORY", "ExportError", "PlanRejected", "SourceUnavailable"]
