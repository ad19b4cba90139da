"""Exceptions of an export.

ExportError
├── SourceUnavailable    the source cannot be reached or read
└── PlanRejected         TensorRT built a plan that is slow or wrong
"""


class ExportError(Exception):
    """The export failed; the message gives the reason in one sentence. The model repository is unchanged."""


class SourceUnavailable(ExportError):
    """A checkpoint source cannot be reached, or a file of it cannot be read."""


class PlanRejected(ExportError):
    """A plan's attention is not fused, or its outputs differ too much from PyTorch's in float32."""
