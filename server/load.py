"""`python -m server.load MODEL`: serve a head, or another optional network, that was exported while the server runs.

The networks that are served already go on. `video_sampling` and the ensemble `video_signals` are loaded again, because
they name what is served; Triton lets requests in flight finish.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from server.bytecode import compile_models
from server.errors import ServerFailed
from server.flags import KEY_NAME
from server.heads import other_encoders
from server.key import key_path
from server.local_http import open_local
from server.ports import LOOPBACK, in_url
from server.settings import Settings

MODEL_REPOSITORY = Path(__file__).parent.parent / "model_repository"
DESCRIBING = ("video_sampling", "video_signals")
"""What names the networks that are served, in the order in which it is loaded again."""
COPYING = "embedding_copy"
"""A part of `video_signals` that the export writes, too."""
TIMEOUT_SECONDS = 300.0
INTERRUPTED = 130
OPTIONAL = ("frames", "text", "actions", "autoencoder")
"""The keys of optional networks in `weights.json`, beside heads."""
DECODING = "video_decode"
PREPARED_FOR = ("frame_encoder", "frame_autoencoder")
"""Networks that `video_decode` prepares frames for. It has read `weights.json`, so it is loaded again with them."""
_EVERYWHERE = ("0.0.0.0", "::")

EPILOG = """\
The variables HTTP_PORT, GRPC_PORT and ADDRESS say which server, as they do for `python -m server`. --url says which
tritonserver instead, if it runs by itself with --model-control-mode=explicit --load-model=*.

examples:
  python -m export --head genre=heads/genre && python -m server.load head_genre
  python -m export --remove head_genre && python -m server.load --remove head_genre
  python -m server.load head_genre --url http://127.0.0.1:8000

exit status: 0 ready, 1 not, 2 wrong command line, 130 interrupted; a load that was begun goes on."""


class NotLoaded(Exception):
    """A model cannot be loaded or removed; the message says why."""


class RunningServer:
    """The HTTP API of a running server."""

    def __init__(self, url: str, key: str | None = None, refused: str | None = None) -> None:
        """`url` has no path; `key` opens the closed APIs; `refused` is what to say if it does not."""
        self._url = f"{url}/v2"
        self._headers = {} if key is None else {KEY_NAME: key}
        self._refused = refused

    @classmethod
    def of_this_user(cls, settings: Settings) -> "RunningServer":
        """The server of this user on the ports of `settings`. Raises `NotLoaded` if there is none."""
        for address in (settings.address, *_EVERYWHERE):
            with suppress(OSError):
                key = key_path(address, settings.grpc_port).read_text()
                break
        else:
            raise NotLoaded(
                f"no server of this user listens on gRPC port {settings.grpc_port} of {settings.address}: start one "
                "with `make serve`, or set ADDRESS, GRPC_PORT and HTTP_PORT to where it listens"
            )
        is_local = settings.tls is not None or address in _EVERYWHERE
        url = f"http://{in_url(LOOPBACK if is_local else address)}:{settings.http_port}"
        refused = (
            f"the server on HTTP port {settings.http_port} is another one than that on gRPC port "
            f"{settings.grpc_port}: set HTTP_PORT and GRPC_PORT to the ports of one server"
        )
        return cls(url, key, refused)

    def weights(self) -> dict[str, Any]:
        """What WEIGHTS says of the networks that are served."""
        video = {"name": "VIDEO", "datatype": "UINT8", "shape": [1, 1], "data": [0]}
        answer = self._ask("models/video_sampling/infer", {"inputs": [video], "outputs": [{"name": "WEIGHTS"}]})
        content: dict[str, Any] = json.loads(answer["outputs"][0]["data"][0])
        return content

    def load(self, model: str) -> None:
        """Load a model, again if its files have changed; returns when it is ready."""
        self._ask(f"repository/models/{model}/load", {})

    def load_again(self, model: str) -> None:
        """Load a model again whose files have not changed: Triton does so only for another configuration."""
        config = self._ask(f"models/{model}/config")
        config["parameters"]["LOADED"] = {"string_value": str(time.time())}
        self._ask(f"repository/models/{model}/load", {"parameters": {"config": json.dumps(config)}})

    def unload(self, model: str) -> None:
        """Unload a model."""
        self._ask(f"repository/models/{model}/unload", {})

    def _ask(self, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        body = None if content is None else json.dumps(content).encode()
        try:
            request = urllib.request.Request(f"{self._url}/{path}", body, self._headers)
            with open_local(request, TIMEOUT_SECONDS) as answer:
                said: dict[str, Any] = json.loads(answer.read() or b"{}")
                return said
        except urllib.error.HTTPError as error:
            raise NotLoaded(self._refused if error.code == 403 and self._refused else _reason(error)) from error
        except (OSError, HTTPException, ValueError) as error:
            raise NotLoaded(f"the server at {self._url} does not answer: {error}") from error


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, load, say when it is ready; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m server.load",
        description="Serve optional networks, such as heads, that were exported while the server runs.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", metavar="MODEL", nargs="+", help="a model of the repository, such as head_genre")
    parser.add_argument("--remove", action="store_true", help="unload models that the export has taken away")
    parser.add_argument(
        "--model-repository",
        metavar="DIR",
        type=Path,
        default=MODEL_REPOSITORY,
        help="the one that the server serves (default: model_repository in the project)",
    )
    parser.add_argument(
        "--url",
        metavar="URL",
        help="HTTP endpoint of a tritonserver without `python -m server`",
    )
    options = parser.parse_args(arguments)
    try:
        if options.url is None:
            server = RunningServer.of_this_user(Settings.from_environment(options.model_repository, os.environ))
        else:
            server = RunningServer(options.url.rstrip("/"))
        change(server, options.model_repository, options.models, remove=options.remove)
    except (NotLoaded, ServerFailed) as error:
        print(f"server.load: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def change(server: RunningServer, repository: Path, models: list[str], *, remove: bool) -> None:
    """Load `models`, or remove them, and say so. Raises `NotLoaded`."""
    manifest = _manifest(repository)
    there = optional_networks(manifest)
    for model in models:
        if (model in there) == remove:
            named = ", ".join(there) or "none"
            raise NotLoaded(
                f"{model} is still in {repository}: python -m export --remove {model}"
                if remove
                else f"{model} is not an optional network of {repository} (those are: {named}): export it first"
            )
    _check_same(server.weights(), manifest)
    compile_models(repository)
    # What names a model goes after it comes, and before it goes.
    decoding = [DECODING] if any(model in PREPARED_FOR for model in models) else []
    steps = [*([] if remove else models), COPYING, *decoding, *DESCRIBING]
    for model in steps:
        started = time.monotonic()
        if model in ("video_sampling", DECODING):
            server.load_again(model)
        else:
            server.load(model)
        print(f"{model}: loaded in {time.monotonic() - started:.1f} s", flush=True)
    if remove:
        for model in models:
            server.unload(model)
            print(f"{model}: unloaded", flush=True)
        return
    print(f"{', '.join(models)}: ready", flush=True)


def optional_networks(manifest: dict[str, Any]) -> list[str]:
    """The models of optional networks that `weights.json` names."""
    entries = [manifest[name] for name in OPTIONAL if name in manifest]
    models = [entry["model"] for entry in (*entries, *manifest.get("heads", {}).values())]
    return [*models, "text_embedding"] if "text" in manifest else models


def _manifest(repository: Path) -> dict[str, Any]:
    path = repository / "weights.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise NotLoaded(f"cannot read {path}: {error}") from error
    return content


def _check_same(served: dict[str, Any], manifest: dict[str, Any]) -> None:
    """Heads, and what is described, must be those of the networks that are served."""
    pairs = [("motion predictor", served.get("motion"), manifest.get("motion"))]
    pairs.append(("camera classifier", served.get("camera"), manifest.get("camera")))
    for network in OPTIONAL:
        if network in served and network in manifest:
            pairs.append((network, served[network]["source"], manifest[network]["source"]))
    for name, before, now in pairs:
        if before != now:
            raise NotLoaded(f"the server has the {name} of {before}, and the repository that of {now}: restart it")
    if sentences := other_encoders(manifest):
        raise NotLoaded("; ".join(sentences))


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["error"])
    except (ValueError, KeyError, OSError):
        return f"HTTP status {error.code}"


if __name__ == "__main__":
    sys.exit(main())
