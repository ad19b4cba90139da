"""`python -m bench.scale check`: a real run with Ray and two servers on this machine, beside what the model says."""

import os

from bench.many import repository, supervised, videos
from bench.scale.real_run import RAY, Servers, real_run
from bench.scale.system import Clip, Machines
from bench.scale.videos import Simulation

FEW, MORE = 20, 200
"""Videos of the two runs whose difference is what a video costs."""
SERVERS = 2
WITHIN = 0.15


def check(count: int, in_flight: int) -> int:
    """Measure what a video costs, ask the model for `count` of them, do it, and compare; returns the exit status."""
    tiny = repository("tiniest", width=48, depth=1, patch=56)  # 128 tokens a clip, not 1568
    cores = os.cpu_count() or 1
    with supervised(tiny) as (one, first), supervised(tiny) as (two, second):
        single, both = Servers((one,), (first,)), Servers((one, two), (first, second))
        real_run(videos(FEW), single, 1, "warm")
        few, more = (real_run(videos(number), single, 1, "single", RAY) for number in (FEW, MORE))
        server_cpu = (more.server_cpu_seconds - few.server_cpu_seconds) / (MORE - FEW)
        client_cpu = (more.client_cpu_seconds - few.client_cpu_seconds) / (MORE - FEW)
        real = real_run(videos(count), both, in_flight, "ray", RAY)
    start = more.start_seconds
    alone = predict(count, server_cpu, start, in_flight, cores, client_cpu)
    # The model has the machine for itself; the real run shared it.
    free = 1 - real.other_cpu_seconds / (cores * real.seconds)
    predicted = start + (alone - start) / free
    error = predicted / real.seconds - 1
    print(
        f"a video costs {server_cpu * 1000:.1f} ms of the servers' CPU and {client_cpu * 1000:.1f} ms of that of the "
        f"client with Ray, measured one at a time; the start takes {start:.1f} s"
    )
    print(
        f"model: {alone:.0f} s for {count:,} videos, {predicted:.0f} s with the {free:.0%} of {cores} cores that other "
        f"programs left; real: {real.seconds:.0f} s ({error:+.1%})"
    )
    print(f"{real.rows:,} rows, {'one' if real.once else 'NOT one'} for each video")
    good = abs(error) <= WITHIN and real.once and real.rows == count
    print("within the bounds" if good else f"NOT within {WITHIN:.0%}, or rows are wrong")
    return 0 if good else 1


def predict(
    count: int,
    cpu_seconds: float,
    start_seconds: float,
    in_flight: int,
    cores: int | None = None,
    client_cpu_seconds: float = 0.0,
) -> float:
    """The model's seconds for so many videos on the cores of one machine, which readers and servers share."""
    clip = Clip(0.02, 0.5 * cpu_seconds, 0.5 * cpu_seconds, client_cpu_seconds)
    machines = Machines(
        servers=SERVERS,
        decoders=4,
        networks=1,
        queue=64,
        readers=1,
        in_flight=in_flight,
        reader_megabytes_per_second=1000.0,
        storage_megabytes_per_second=1000.0,
        storage_seconds=0.0,
        driver_videos_per_second=1000.0,
        start_seconds=start_seconds,
        cores=cores or os.cpu_count() or 1,
    )
    return Simulation(clip, machines, count).run().seconds
