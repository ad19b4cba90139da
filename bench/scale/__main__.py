"""`python -m bench.scale`: days, bytes and what binds, for 1 to 100 million clips on 8 to 512 GPUs, from a simulation.

`python -m bench.scale check` does a real run on this machine (two servers with tiny networks, Ray) and compares it with
the model. `python -m bench.scale engines` does runs without and with Ray in turns, against servers that only wait, and
compares their rates. Both need Ray: `pip install --group ray`.
"""

import argparse
import sys

from bench.scale.report import report


def main(arguments: list[str] | None = None) -> int:
    """Print the table or check the model; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "part", nargs="?", choices=("table", "check", "engines"), default="table", help="(default: %(default)s)"
    )
    parser.add_argument("--videos", type=int, default=20_000, metavar="N", help="of a run (default: %(default)s)")
    parser.add_argument("--in-flight", type=int, default=8, metavar="N", help="of a run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of engines (default: %(default)s)")
    options = parser.parse_args(arguments)
    for name in ("videos", "in_flight", "rounds"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} is {getattr(options, name)}, it must be at least 1")
    if options.part == "table":
        print(report())
        return 0
    if options.part == "engines":
        from bench.scale.engines import engines

        return engines(options.videos, options.in_flight, options.rounds)
    from bench.scale.check import check

    return check(options.videos, options.in_flight)


if __name__ == "__main__":
    sys.exit(main())
