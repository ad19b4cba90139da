"""What a run of the benchmark finds: plain data, written as JSON and read by the report."""

from dataclasses import dataclass, field


@dataclass
class ServerResult:
    """What one video took on the server in one precision; a value a round, in seconds."""

    seconds: list[float] = field(default_factory=list)
    """From the client's call to its answer."""
    cpu_seconds: list[float] = field(default_factory=list)
    """Of all processes of the server."""
    sampling_seconds: list[float] = field(default_factory=list)
    """In video_sampling, by Triton's statistics."""
    decode_seconds: list[float] = field(default_factory=list)
    """In video_decode."""
    network_seconds: list[float] = field(default_factory=list)
    """In the three networks, waiting for their turns included."""
    bare_network_seconds: list[float] = field(default_factory=list)
    """(c) the backbone and the classifier without a server: two clips of each measured, and multiplied."""
    above_idle_mib: float = 0.0
    """Peak memory of all processes of the server above that of the idle one."""


@dataclass
class VideoResult:
    """What one video took."""

    name: str
    segments: int = 0
    """16-frame segments of the motion scores."""
    clips: int = 0
    """Camera clips."""
    published_seconds: list[float] = field(default_factory=list)
    """(a) plain PyTorch float32, without loading the networks."""
    published_peak_mib: float = 0.0
    """Peak memory of that process, networks included."""
    published_failures: int = 0
    """How often it ended without an answer."""
    bare_decode_seconds: list[float] = field(default_factory=list)
    """(d) every frame decoded and thrown away."""
    servers: dict[str, ServerResult] = field(default_factory=dict)
    """(b) by precision."""


@dataclass
class LoadResult:
    """What the server did with several requests in flight."""

    in_flight: int
    videos_per_second: float
    clips_per_second: float
    """Segments and camera clips."""
    p50_seconds: float
    p95_seconds: float
    p99_seconds: float
    share_of_bare: float
    """Time of (c) and (d) one after the other for the same videos, over the time taken."""


@dataclass
class Rates:
    """How fast this machine computes in one precision, in GFLOP/s."""

    matrix: float
    """A product of large matrices."""
    backbone: float
    """motion_backbone on one segment."""
    classifier: float
    """camera_classifier on one clip."""
    backbone_milliseconds: dict[str, float] = field(default_factory=dict)
    """Where the backbone's time goes: milliseconds a segment by kind of layer."""


@dataclass
class Report:
    """A whole run."""

    machine: str
    load_precision: str
    ready_seconds: dict[str, float] = field(default_factory=dict)
    """By precision: until the server was ready, its compiled networks cached."""
    idle_mib: dict[str, float] = field(default_factory=dict)
    """By precision: memory of the idle server, what processes share counted once."""
    client_mib: float = 0.0
    rates: dict[str, Rates] = field(default_factory=dict)
    videos: list[VideoResult] = field(default_factory=list)
    loads: list[LoadResult] = field(default_factory=list)
