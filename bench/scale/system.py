"""What the model consists of, in numbers; every unit is in the name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Clip:
    """A video of the data set."""

    megabytes: float
    """Mean size of its file; sizes are drawn from an exponential distribution with this mean, cut at ten times it."""
    decode_seconds: float
    """Seconds of one decoder."""
    network_seconds: float
    """Seconds of the networks, in a batch with others."""
    cpu_seconds: float = 0.0
    """Seconds of a core for everything else, if decoding and networks are on cores, too."""


@dataclass(frozen=True)
class Machines:
    """The servers, the readers in front of them and what lies between."""

    servers: int
    """GPUs; each is a server."""
    decoders: int
    """Videos that a server decodes at once."""
    networks: int
    """Batches that a server computes at once."""
    queue: int
    """Videos that a server holds at once; it refuses more."""
    readers: int
    """Actors that read files and send them."""
    in_flight: int
    """Videos that a reader has in flight."""
    reader_megabytes_per_second: float
    """What a reader reads and sends."""
    storage_megabytes_per_second: float
    """What the storage gives to all readers together."""
    storage_seconds: float
    """Latency of the first byte."""
    driver_videos_per_second: float
    """Rows that the driver writes."""
    start_seconds: float
    """From the start of the command to the first video."""
    cores: int = 0
    """If not 0: all servers share so many cores, and decoders and networks compute on them."""


@dataclass(frozen=True)
class Failures:
    """How servers fail."""

    mean_hours: float
    """Mean time between failures of one server; times are drawn from an exponential distribution."""
    restart_seconds: float
    """From a failure to a server that is ready again, on another node if need be."""
    notice_seconds: float
    """Until a request that the server held is sent to another one."""


NO_FAILURES = Failures(float("inf"), 0.0, 0.0)
