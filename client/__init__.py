"""The thin client: `Client` and `AsyncClient` to call from Python, `python -m client.score` for the command line."""

from client.async_client import AsyncClient
from client.client import Client
from client.errors import (
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ServerAway,
    ServerError,
    ServerUnavailable,
    UnreadableFile,
)
from client.parameters import Parameters
from client.result import CameraClip, MotionScores, Score, VideoInfo, Weights
from client.tls import Tls

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
]
