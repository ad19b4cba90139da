"""How far a load is from what NVDEC alone and the networks alone would allow."""

from collections.abc import Mapping

from bench.gpu.sweep.grid import LIBRARIES, NETWORKS, Decoding, Load, Network, Point, Stripping, Video
from bench.gpu.sweep.journal import Raw
from video.clips import CLIP_SHAPE

CLIP_BYTES = int(CLIP_SHAPE[0] * CLIP_SHAPE[1] * CLIP_SHAPE[2] * CLIP_SHAPE[3])

Finished = Mapping[Point, Raw]


def nvdec_videos(finished: Finished, video: Video) -> float | None:
    """Videos a second of NVDEC alone, by the fastest library or from the stripped file; None if not measured."""
    points = [Decoding(library, video.name) for library in LIBRARIES]
    rates = [finished[point]["frames_per_second"] / video.cost.frames for point in points if point in finished]
    if (stripping := finished.get(Stripping(video.name))) is not None:
        rates.append(stripping["stripped_wanted_fps"] / stripping["wanted_frames"])
    return max(rates, default=None)


def network_videos(finished: Finished, video: Video, batch: int) -> float | None:
    """Videos a second of both networks alone, one after the other; None unless both were measured at this batch."""
    points = [Network(network, batch) for network in NETWORKS]
    if not all(point in finished for point in points):
        return None
    backbone, classifier = (finished[point]["clips_per_second"] for point in points)
    return 1 / (video.cost.segments / backbone + video.cost.clips / classifier)


def share_of_bound(finished: Finished, load: Load, video: Video) -> tuple[float, str] | None:
    """The share of the lower of both bounds that a load reaches, and whose bound it is; None unless both are known."""
    nvdec, networks = nvdec_videos(finished, video), network_videos(finished, video, load.setting.batch)
    if nvdec is None or networks is None:
        return None
    return finished[load]["videos_per_second"] / min(nvdec, networks), "NVDEC" if nvdec < networks else "networks"


def clip_megabytes(video: Video) -> float:
    """Megabytes of the clips of a video: what each copy of them to the host takes."""
    return (video.cost.segments + video.cost.clips) * CLIP_BYTES / 1e6
