"""What a sweep measures: its points, and how each is named in the file of finished points."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from bench.capacity import Cost

LIBRARIES = ("DALI", "PyNvVideoCodec", "TorchCodec")
"""What decodes on NVDEC alone, for comparison."""
NETWORKS = ("motion_backbone", "camera_classifier")


@dataclass(frozen=True)
class Video:
    """A video that requests carry."""

    name: str
    """Such as `1080p_h264`."""
    path: Path
    cost: Cost
    """What it costs decoders and networks."""


@dataclass(frozen=True)
class Setting:
    """What the configuration says; a server is started for each."""

    instances: int
    """Instances of the model that decodes on NVDEC; each decodes a video at a time."""
    batch: int
    """Preferred batch of both networks, in clips."""
    delay_microseconds: int
    """How long a clip waits in the queue for its batch to fill."""

    def __str__(self) -> str:
        return f"{self.instances} instances, batch {self.batch}, {self.delay_microseconds} us"


@dataclass(frozen=True)
class Decoding:
    """NVDEC alone, through one library: as many videos at once as there are engines."""

    library: str
    video: str

    def __str__(self) -> str:
        return f"NVDEC alone, {self.library}, {self.video}"


@dataclass(frozen=True)
class Stripping:
    """The wanted frames of a video by DALI, from the whole file and from the stripped one."""

    video: str

    def __str__(self) -> str:
        return f"wanted frames, {self.video}"


@dataclass(frozen=True)
class Network:
    """A network alone, at one batch."""

    network: str
    batch: int

    def __str__(self) -> str:
        return f"{self.network} alone, batch {self.batch}"


@dataclass(frozen=True)
class Load:
    """The server with one setting: one video, so many requests in flight."""

    setting: Setting
    video: str
    in_flight: int

    def __str__(self) -> str:
        return f"{self.setting}, {self.video}, {self.in_flight} in flight"


Point = Decoding | Stripping | Network | Load


def key_of(point: Point) -> dict[str, Any]:
    """The point as JSON: its kind and what distinguishes it from others of that kind."""
    return {"kind": type(point).__name__.lower(), **asdict(point)}


@dataclass(frozen=True)
class Grid:
    """Every value that is tried."""

    videos: tuple[Video, ...]
    instances: tuple[int, ...]
    batches: tuple[int, ...]
    delays_microseconds: tuple[int, ...]
    in_flight: tuple[int, ...]

    def alone(self) -> Iterator[Decoding | Stripping | Network]:
        """What is measured without a server."""
        for video in self.videos:
            yield from (Decoding(library, video.name) for library in LIBRARIES)
            yield Stripping(video.name)
        yield from (Network(network, batch) for network, batch in product(NETWORKS, self.batches))

    def settings(self) -> Iterator[Setting]:
        """The settings, each a start of the server."""
        yield from (Setting(*values) for values in product(self.instances, self.batches, self.delays_microseconds))

    def loads(self, setting: Setting) -> list[Load]:
        """What is measured with one setting."""
        return [Load(setting, video.name, count) for video, count in product(self.videos, self.in_flight)]
