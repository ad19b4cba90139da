"""`python -m server`: Triton in the foreground, until Ctrl-C. `make serve` calls it."""

import argparse
import contextlib
import os
import signal
import sys
import time
from collections import deque
from dataclasses import replace
from pathlib import Path

from server.installation import NoServer, find_triton, precision_environment
from server.metrics import Counts
from server.process import ServerFailed, Settings, start
from server.proxy import Tls
from server.supervisor import Supervisor

MAX_DEATHS = 3
DEATHS_SECONDS = 120
"""tritonserver is started again when it dies, but not the third time within this time."""
MODEL_REPOSITORY = Path(__file__).parent.parent / "model_repository"

EPILOG = """\
The environment chooses the rest: HTTP_PORT (8000), GRPC_PORT (8001), METRICS_PORT (8002), ADDRESS (127.0.0.1: this
machine only), PRECISION (auto, f32, bf16 or int8: what the networks compute in without a GPU; auto is f32 or bf16,
whichever is faster here), TLS_CERTIFICATE and TLS_KEY (PEM files: gRPC is encrypted, and HTTP stays on this machine),
TLS_CLIENT_CA (a PEM file: callers need a certificate of its), REQUEST_LOG (all, errors or off: which requests have a
line of JSON in the output), TRITON_FLAGS (passed on to tritonserver). Exit status: 0 after Ctrl-C, 1 where the server
cannot start or stops by itself."""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, serve, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m server", description="Serve the model repository with Triton.", epilog=EPILOG
    )
    parser.add_argument(
        "--model-repository", metavar="DIR", type=Path, default=MODEL_REPOSITORY, help="(default: the project's own)"
    )
    options = parser.parse_args(arguments)
    try:
        return serve(_settings(options.model_repository))
    except (NoServer, ServerFailed) as error:
        print(f"server: {error}", file=sys.stderr)
        return 1


def serve(settings: Settings) -> int:
    """Run a server until it is told to stop; the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # A polite kill is a Ctrl-C; and a shell starts what runs in its background with Ctrl-C ignored.
        signal.signal(number, signal.default_int_handler)
    # Measured once: a server that is started again computes in what the one before did.
    precision = precision_environment(find_triton().profile(), settings.precision).get("PRECISION", settings.precision)
    settings = replace(settings, precision=precision)
    counts = Counts()
    deaths: deque[float] = deque(maxlen=MAX_DEATHS)
    try:
        while True:
            try:
                status = _serve_once(settings, counts)
                if status is None:
                    continue
                print(f"server: tritonserver ended by itself with status {status}", file=sys.stderr)
            except ServerFailed as error:
                if not deaths:
                    raise
                print(f"server: {error}", file=sys.stderr)
            deaths.append(time.monotonic())
            if len(deaths) == MAX_DEATHS and deaths[-1] - deaths[0] < DEATHS_SECONDS:
                print(f"server: that was the third time within {DEATHS_SECONDS} s: giving up", file=sys.stderr)
                return 1
            counts.server_restarts.inc()
    except KeyboardInterrupt:
        return 0


def _serve_once(settings: Settings, counts: Counts) -> int | None:
    """Run a server, kept whole, until tritonserver ends; its exit status, None where it is to be started again."""
    started = time.monotonic()
    print("server: starting, the networks take some seconds to load", flush=True)
    server = start(settings, counts)
    try:
        if server.notice:
            print(f"server: {server.notice}", file=sys.stderr)
        server.wait_until_ready()
        seconds = time.monotonic() - started
        print(f"server: ready after {seconds:.1f} s: gRPC on {server.url}, {server.profile} profile; Ctrl-C ends it")
        print(f"server: the key to model control, shared memory, trace and log settings: {server.key_file}")
        print(f"server: try  python -m client.score --url {server.url} VIDEO", flush=True)
        server.show_log()
        return Supervisor(server, _report).watch()
    except ServerFailed:
        print(server.errors, end="", file=sys.stderr)
        raise
    except KeyboardInterrupt:
        print("server: stopping", flush=True)
        raise
    finally:
        interrupts = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # being impatient leaves nothing behind
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        server.stop()
        signal.signal(signal.SIGINT, interrupts[0])
        signal.signal(signal.SIGTERM, interrupts[1])


def _report(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody may read our output any more
        print(f"server: {line}", flush=True)


def _settings(model_repository: Path) -> Settings:
    def port(name: str, default: int) -> int:
        text = os.environ.get(name) or str(default)
        if not text.isdigit() or not 0 < int(text) < 65536:
            raise ServerFailed(f"{name} is {text!r}, it must be a port from 1 to 65535")
        return int(text)

    return Settings(
        model_repository,
        tls=_tls(),
        address=os.environ.get("ADDRESS") or "127.0.0.1",
        http_port=port("HTTP_PORT", 8000),
        grpc_port=port("GRPC_PORT", 8001),
        metrics_port=port("METRICS_PORT", 8002),
        precision=os.environ.get("PRECISION") or "auto",
    )


def _tls() -> Tls | None:
    certificate, key, client_ca = (
        Path(path) if (path := os.environ.get(name)) else None
        for name in ("TLS_CERTIFICATE", "TLS_KEY", "TLS_CLIENT_CA")
    )
    if certificate and key:
        return Tls(certificate, key, client_ca)
    if certificate or key or client_ca:
        raise ServerFailed("TLS_CERTIFICATE and TLS_KEY are given together, TLS_CLIENT_CA with them")
    return None


if __name__ == "__main__":
    sys.exit(main())
