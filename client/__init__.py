"""The thin client: `Client` to call from Python, `python -m client.score` for the command line."""

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
from client.result import CameraClip, MotionScores, Score, VideoInfo, Weights

__all__ = [
    "CameraClip",
    "Client",
    "ClientError",
    "DeadlineExceeded",
    "InvalidRequest",
    "MotionScores",
    "Score",
    "ServerAway",
    "ServerError",
    "ServerUnavailable",
    "UnreadableFile",
    "VideoInfo",
    "Weights",
]
