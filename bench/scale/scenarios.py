"""What the table is of: a data set of clips on rows of GPUs. Rates are cited or assumed, never measured here."""

from bench.capacity import cost
from bench.cited import HOPPER, NETWORK_TFLOPS
from bench.scale.system import Clip, Failures, Machines

SECONDS, FPS, PIXELS = 10.0, 30.0, 1920 * 1080
MEGABYTES = 6.25
"""Of such a clip at 5 Mbit/s."""
CLIPS = (1e6, 1e7, 1e8)
GPUS = (8, 64, 512)
DECODERS = 7
"""NVDECs of a Hopper GPU."""
GPUS_PER_READER = 8
FAILURES = Failures(mean_hours=1000.0, restart_seconds=300.0, notice_seconds=30.0)


def clip(end: int) -> Clip:
    """A clip of 10 s of 1080p in H.264 at the low (0) or the high (1) bound of the cited rates."""
    of_clip = cost(SECONDS, FPS)
    return Clip(
        megabytes=MEGABYTES,
        decode_seconds=DECODERS * of_clip.frames / HOPPER[0].bounds(PIXELS)[end],
        network_seconds=of_clip.flop / (NETWORK_TFLOPS[end] * 1e12),
    )


def machines(gpus: int) -> Machines:
    """A row of so many GPUs, with an actor for each eight of them."""
    return Machines(
        servers=gpus,
        decoders=DECODERS,
        networks=1,
        queue=64,
        readers=max(1, gpus // GPUS_PER_READER),
        in_flight=GPUS_PER_READER * 24,
        reader_megabytes_per_second=1000.0,
        storage_megabytes_per_second=20_000.0,
        storage_seconds=0.05,
        driver_videos_per_second=3000.0,
        start_seconds=60.0,
    )
