"""Results of a benchmark run: plain data, written as JSON and read by the report."""

from dataclasses import dataclass, field


@dataclass
class ServerResult:
    """Figures of one video on the server in one precision; lists have a value for each round, in seconds."""

    seconds: list[float] = field(default_factory=list)
    """Latency of the client's call."""
    cpu_seconds: list[float] = field(default_factory=list)
    """Of all processes of the server."""
    sampling_seconds: list[float] = field(default_factory=list)
    """In video_sampling, from Triton's statistics."""
    decode_seconds: list[float] = field(default_factory=list)
    """In video_decode."""
    network_seconds: list[float] = field(default_factory=list)
    """In the three networks, including the wait for the compute lock."""
    bare_network_seconds: list[float] = field(default_factory=list)
    """(c) the backbone and the classifier alone: time of one clip, times the number of clips."""
    above_idle_mib: float = 0.0
    """Peak memory of all processes of the server, above that of the idle server."""


@dataclass
class VideoResult:
    """Figures of one video."""

    name: str
    segments: int = 0
    """Segments for the motion scores."""
    clips: int = 0
    """Clips for the camera classifier."""
    published_seconds: list[float] = field(default_factory=list)
    """(a) plain PyTorch float32, without loading the networks."""
    published_peak_mib: float = 0.0
    """Peak memory of that process, including its networks."""
    published_failures: int = 0
    """Runs that ended without an answer."""
    bare_decode_seconds: list[float] = field(default_factory=list)
    """(d) decoding every frame alone."""
    servers: dict[str, ServerResult] = field(default_factory=dict)
    """(b) by precision."""


@dataclass
class LoadResult:
    """Figures of the server with several requests in flight."""

    in_flight: int
    videos_per_second: float
    clips_per_second: float
    """Segments plus camera clips."""
    p50_seconds: float
    p95_seconds: float
    p99_seconds: float
    share_of_bare: float
    """Time of (c) plus (d) for the same videos, divided by the time taken."""


@dataclass
class Rates:
    """Rates of this machine in one precision, in GFLOP/s."""

    matrix: float
    """A product of large matrices."""
    backbone: float
    """motion_backbone on one segment."""
    classifier: float
    """camera_classifier on one clip."""
    backbone_milliseconds: dict[str, float] = field(default_factory=dict)
    """Milliseconds a segment of the backbone, by kind of layer."""


@dataclass
class Report:
    """All results of a run."""

    machine: str
    load_precision: str
    ready_seconds: dict[str, float] = field(default_factory=dict)
    """By precision: time until the server is ready, with its compiled networks cached."""
    idle_mib: dict[str, float] = field(default_factory=dict)
    """By precision: memory of the idle server (PSS: shared memory counts once)."""
    client_mib: float = 0.0
    rates: dict[str, Rates] = field(default_factory=dict)
    videos: list[VideoResult] = field(default_factory=list)
    loads: list[LoadResult] = field(default_factory=list)
