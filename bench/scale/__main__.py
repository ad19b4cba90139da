"""`python -m bench.scale`: days, bytes and what binds, for 1 to 100 million clips on 8 to 512 GPUs, from a simulation.

`python -m bench.scale check` does a real run on this machine (two servers with tiny networks, Ray) and compares it with
the model; it takes an hour or more for 20,000 videos. Needs Ray: `pip install --group ray`.
"""

import argparse
import sys

from bench.scale.report import report


def main(arguments: list[str] | None = None) -> int:
    """Print the table or check the model; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=("table", "check"), default="table", help="(default: %(default)s)")
    parser.add_argument("--videos", type=int, default=20_000, metavar="N", help="of check (default: %(default)s)")
    parser.add_argument("--in-flight", type=int, default=8, metavar="N", help="of check (default: %(default)s)")
    options = parser.parse_args(arguments)
    for name in ("videos", "in_flight"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} is {getattr(options, name)}, it must be at least 1")
    if options.part == "table":
        print(report())
        return 0
    from bench.scale.check import check

    return check(options.videos, options.in_flight)


if __name__ == "__main__":
    sys.exit(main())
