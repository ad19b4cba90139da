"""How the networks of the cpu profile divide the cores: how many runs at once, each on its part of them.

One run on all cores answers a video soonest, as long as a run keeps that many cores busy. With more cores, several runs
at once waste less of them.
"""

CORES_PER_STREAM = 8
"""Of `auto`: fewer than twice as many are one stream. Not measured: the machines of the benchmarks have two cores."""


def stream_count(asked: str, cores: int) -> int:
    """How many runs of networks compute at once on `cores` cores; ValueError unless `asked` is `auto` or a number."""
    if asked == "auto":
        return max(1, cores // CORES_PER_STREAM)
    if not asked.isdecimal() or not 1 <= int(asked) <= cores:
        raise ValueError(f"STREAMS is {asked!r}, it must be auto or a number from 1 to {cores}, the usable cores")
    return int(asked)
