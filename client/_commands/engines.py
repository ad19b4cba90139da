"""The options that choose what scores: this process, or a Ray cluster."""

import argparse

from .._ray.address import AUTO, LOCAL, OPTION, cluster_address
from .._ray.engine import Cluster, engine
from .._ray.scorer import Servers
from .._runs.table_run import Engine
from .._sdk.client import Client
from .._sdk.tls import Tls

THIS_PROCESS, RAY = "local", "ray"


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--engine` and the options of Ray."""
    group = parser.add_argument_group("where the videos are read and sent from")
    group.add_argument(
        "--engine",
        choices=(THIS_PROCESS, RAY),
        default=THIS_PROCESS,
        help="this process, or Ray Data, with --output (default: %(default)s)",
    )
    group.add_argument(
        OPTION,
        metavar="ADDRESS",
        help=f"the Ray cluster: {AUTO}, HOST:PORT, or {LOCAL} for one on this machine for this run (default: "
        f"RAY_ADDRESS, else {LOCAL})",
    )
    group.add_argument(
        "--ray-actors", type=int, metavar="N", help="Ray actors, each with --in-flight videos at once (default: 1)"
    )


def check_engine(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit if the options do not fit together."""
    if options.engine != RAY:
        for name, value in ((OPTION, options.ray_address), ("--ray-actors", options.ray_actors)):
            if value is not None:
                parser.error(f"{name} is for --engine ray")
        return
    if not options.output:
        parser.error("--engine ray needs an --output: Ray gives the scores in no order that could be printed")
    if options.ray_actors is not None and options.ray_actors < 1:
        parser.error(f"--ray-actors is {options.ray_actors}, it must be at least 1")
    try:
        cluster_address(options.ray_address)
    except ValueError as error:
        parser.error(str(error))


def engine_of(options: argparse.Namespace, client: Client, tls: Tls | None) -> Engine | None:
    """The engine that the options choose, for the servers of `client`; None for this process."""
    if options.engine != RAY:
        return None
    servers = Servers(tuple(client.urls), options.timeout, options.away, tls, options.in_flight)
    return engine(servers, Cluster(cluster_address(options.ray_address), options.ray_actors or 1))
