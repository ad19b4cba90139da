"""`python -m server`: Triton in the foreground, until Ctrl-C. `make serve` and the container image call it."""

import argparse
import logging
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from server import logs
from server.descriptors import raise_limit
from server.errors import NoServer, ServerFailed
from server.installation import find_triton, precision_environment
from server.metrics import Counts
from server.restart_policy import DEATHS_SECONDS, MAX_DEATHS, DeathLimit
from server.settings import Settings
from server.start import start
from server.supervisor import Supervisor

log = logging.getLogger("server")  # not __name__, which is __main__
MODEL_REPOSITORY = Path(__file__).parent.parent / "model_repository"

EPILOG = """\
environment variables:
  HTTP_PORT, GRPC_PORT, METRICS_PORT
                      ports (8000, 8001, 8002)
  ADDRESS             address to listen on (127.0.0.1: this machine only; the container image sets 0.0.0.0)
  PRECISION           what the networks of the cpu profile compute in: auto, f32, bf16 or int8
                      (auto: the fastest on this CPU; int8 only if the export stated a small error)
  MAX_INT8_ERROR      the largest stated error with which PRECISION=auto may choose int8 (0.01)
  STREAMS             how many runs of networks the cpu profile computes at once, each on its part of the cores: a
                      number, or auto (one for every 8 cores)
  TLS_CERTIFICATE, TLS_KEY
                      PEM files: encrypt gRPC; HTTP then listens on the loopback interface only
  TLS_CLIENT_CA       PEM file: callers need a certificate that this authority signed (mutual TLS)
  GATE                on: gRPC calls pass the proxy, which queues them fairly and keeps cancellations from Triton
                      off: tritonserver itself listens on the gRPC port (on)
  OPEN_VIDEO_DECODE   on: callers may call the model video_decode without the server's key (off)
  REQUEST_LOG         which requests get a line of JSON in the output: all, errors or off (all)
  STOP_TIMEOUT_SECONDS
                      how long requests in flight may take when the server is asked to stop (20)
  MAX_CONNECTION_AGE_SECONDS
                      when a gRPC connection takes no more calls, so that its caller makes another (never)
  TRITON_FLAGS        more flags for tritonserver

examples:
  python -m server
  python -m server --model-repository /data/models
  ADDRESS=0.0.0.0 GRPC_PORT=9001 python -m server
  TLS_CERTIFICATE=server.pem TLS_KEY=key.pem TLS_CLIENT_CA=ca.pem python -m server
  TRITON_FLAGS="--log-verbose=1" python -m server

in the container image, whose default command is this one (with --model-repository=/models):
  docker run --gpus all --shm-size=4g -p 8000-8002:8000-8002 -v "$PWD/model_repository:/models:ro" video-motion
  docker run ... -e GATE=off video-motion
  docker run ... --init --read-only --tmpfs /tmp video-motion
  docker run ... video-motion tritonserver --model-repository=/models     without supervisor, proxy and closed APIs

exit status: 0 after Ctrl-C or SIGTERM, 1 if the server cannot start or stops by itself"""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, serve, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m server",
        description="Serve the model repository with Triton, in the foreground; restart what dies.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model-repository",
        metavar="DIR",
        type=Path,
        default=MODEL_REPOSITORY,
        help="the models (default: model_repository in the project)",
    )
    options = parser.parse_args(arguments)
    logs.configure()
    try:
        return serve(Settings.from_environment(options.model_repository))
    except (NoServer, ServerFailed) as error:
        log.error("%s", error)
        return 1


def serve(settings: Settings) -> int:
    """Run a server until it is told to stop; the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # SIGTERM acts like Ctrl-C. SIGINT is set because a shell starts background jobs with it ignored.
        signal.signal(number, signal.default_int_handler)
    raise_limit()
    # Measured once: a restarted server computes in the same precision as the one before.
    variables = precision_environment(
        find_triton().profile(), settings.precision, settings.model_repository, settings.max_int8_error
    )
    if "PRECISION" in variables:
        log.info("the networks compute in %s (PRECISION=%s)", variables["PRECISION"], settings.precision)
        settings = replace(settings, precision=variables["PRECISION"])
    counts, deaths = Counts(), DeathLimit()
    try:
        while True:
            try:
                status = _serve_once(settings, counts)
                if status is None:
                    continue
                log.error("tritonserver ended by itself with status %d", status)
            except ServerFailed as error:
                if not deaths.any:
                    raise
                log.error("%s", error)
            if deaths.count():
                log.error("giving up: tritonserver ended %d times within %d s", MAX_DEATHS, DEATHS_SECONDS)
                return 1
            counts.server_restarts.inc()
    except KeyboardInterrupt:
        return 0


def _serve_once(settings: Settings, counts: Counts) -> int | None:
    """Run a supervised server until tritonserver ends; its exit status, None if it is to be started again."""
    started = time.monotonic()
    log.info("starting, the networks take some seconds to load")
    server = start(settings, counts)
    try:
        if server.notice:
            log.warning("%s", server.notice)
        server.wait_until_ready()
        seconds = time.monotonic() - started
        log.info("ready after %.1f s: gRPC on %s, %s profile; Ctrl-C stops it", seconds, server.url, server.profile)
        if not settings.proxy:
            log.info("GATE=off: callers reach tritonserver itself, without the fair queue, and can call video_decode")
        log.info("the key to model control, shared memory, trace and log settings: %s", server.key_file)
        log.info("try  python -m client.score --url %s VIDEO", server.url)
        server.triton_process.show_log()
        return Supervisor(server).watch()
    except ServerFailed:
        print(server.triton_process.errors, end="", file=sys.stderr, flush=True)
        raise
    except KeyboardInterrupt:
        log.info("stopping")
        raise
    finally:
        interrupts = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave processes behind
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        server.stop()
        signal.signal(signal.SIGINT, interrupts[0])
        signal.signal(signal.SIGTERM, interrupts[1])


if __name__ == "__main__":
    sys.exit(main())
