"""Motion scores and camera moves of videos, from a Triton server: `Client` for threads, `AsyncClient` for asyncio."""

from ._sdk.async_client import AsyncClient
from ._sdk.client import Client
from ._sdk.parameters import Parameters
from ._sdk.result import CameraClip, MotionScores, Score, VideoInfo, Weights
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
    "AsyncClient",
    "CameraClip",
    "Client",
    "ClientError",
    "DeadlineExceeded",
    "InvalidRequest",
    "MotionScores",
    "Parameters",
    "Score",
    "ServerAway",
    "ServerError",
    "ServerUnavailable",
    "Tls",
    "UnreadableFile",
    "VideoInfo",
    "Weights",
    "__version__",
]
