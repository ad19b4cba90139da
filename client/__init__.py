"""Motion scores and camera moves of videos, from a Triton server: `Client` for threads, `AsyncClient` for asyncio."""

from ._sdk.async_client import AsyncClient
from ._sdk.client import Client
from ._sdk.metrics import Metrics
from ._sdk.parameters import Parameters
from ._sdk.result import CameraClip, MotionScores, Score, ServedHead, VideoInfo, Weights
from ._sdk.signal_results import Action, ActionClip, Actions, Frames
from ._sdk.text import TextEmbedding
from ._sdk.tls import Tls
from .errors import (
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ServerAway,
    ServerError,
    ServerUnavailable,
    UnreadableFile,
)

__version__ = "0.2.0"
"""The version of the client."""

__all__ = [
    "Action",
    "ActionClip",
    "Actions",
    "AsyncClient",
    "CameraClip",
    "Client",
    "ClientError",
    "DeadlineExceeded",
    "Frames",
    "InvalidRequest",
    "Metrics",
    "MotionScores",
    "Parameters",
    "Score",
    "ServedHead",
    "ServerAway",
    "ServerError",
    "ServerUnavailable",
    "TextEmbedding",
    "Tls",
    "UnreadableFile",
    "VideoInfo",
    "Weights",
    "__version__",
]
