"""A Hugging Face hub over HTTP in this process: its API for one data set, which can break connections."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from server.ports import LOOPBACK

REPOSITORY = "owner/name"
TOKEN = "hf_good"
PAGE = 2
"""Names on a page of a listing."""
_SHA = "0123456789" * 4
_API = rf"/api/datasets/{REPOSITORY}"


@dataclass
class Hub:
    """One that is listening; its data set is private."""

    files: dict[str, bytes]
    """The files by path."""
    endpoint: str = ""
    requests: list[str] = field(default_factory=list)
    """Method, path and range of every request."""
    broken: int = 0
    """How many of the next answers break off before they begin."""

    def asked(self, pattern: str) -> int:
        """Number of requests so far that match."""
        return sum(bool(re.search(pattern, one)) for one in self.requests)


@contextmanager
def hub(files: dict[str, bytes]) -> Iterator[Hub]:
    """Start one. Programs find it by `HF_ENDPOINT`, which `huggingface_hub` reads when it is imported."""
    state = Hub(files)

    class Handler(_Handler):
        hub = state

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        state.endpoint = f"http://{LOOPBACK}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        if not self._begin():
            return
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if address.path in (_API, f"{_API}/revision/main"):
            self._answer(200, {"id": REPOSITORY, "sha": _SHA, "siblings": []})
        elif found := re.fullmatch(rf"{_API}/tree/main(?:/(.*))?", address.path):
            self._tree(unquote(found[1] or ""), address.path, query)
        elif found := re.fullmatch(rf"/datasets/{REPOSITORY}/resolve/main/(.*)", address.path):
            self._file(unquote(found[1]))
        else:
            self._refuse(404, "RevisionNotFound" if address.path.startswith(_API) else "RepoNotFound")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if not self._begin():
            return
        paths = parse_qs(body)["paths"]
        self._answer(200, [entry for path in paths if (entry := self._entry(path))])

    def log_message(self, *_: object) -> None:
        pass

    def _begin(self) -> bool:
        hub = self.hub
        hub.requests.append(f"{self.command} {self.path} {self.headers.get('Range', '')}".strip())
        if hub.broken:
            hub.broken -= 1
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return False
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._refuse(401, "RepoNotFound")
            return False
        return True

    def _entry(self, path: str) -> dict[str, object] | None:
        if path in self.hub.files:
            return {"type": "file", "path": path, "size": len(self.hub.files[path]), "oid": _SHA}
        if any(name.startswith(f"{path}/") for name in self.hub.files):
            return {"type": "directory", "path": path, "oid": _SHA}
        return None

    def _tree(self, folder: str, path: str, query: dict[str, str]) -> None:
        start = f"{folder}/" if folder else ""
        below = sorted(name for name in self.hub.files if name.startswith(start))
        if not below:
            self._refuse(404, "EntryNotFound")
            return
        folders = {name[: at.start()] for name in below for at in re.finditer("/", name) if at.start() > len(start)}
        names = sorted([*below, *folders])
        if query.get("recursive", "").lower() != "true":
            names = [name for name in names if "/" not in name[len(start) :]]
        at = int(query.get("cursor", 0))
        rest = f'<{self.hub.endpoint}{path}?recursive=true&cursor={at + PAGE}>; rel="next"'
        self._answer(200, [*map(self._entry, names[at : at + PAGE])], {"Link": rest} if at + PAGE < len(names) else {})

    def _file(self, path: str) -> None:
        if path not in self.hub.files:
            self._refuse(404, "EntryNotFound")
            return
        content = self.hub.files[path]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if wanted is None:
            self._answer(200, content)
            return
        part = content[int(wanted[1]) : int(wanted[2]) + 1]
        end = int(wanted[1]) + len(part) - 1
        self._answer(206, part, {"Content-Range": f"bytes {wanted[1]}-{end}/{len(content)}"})

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, {"error": code}, {"X-Error-Code": code, "X-Error-Message": code})

    def _answer(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
