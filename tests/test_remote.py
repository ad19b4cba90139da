"""Files in stores: which names are URLs, listing, patterns, reading with faults, writing whole."""

import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import fsspec
import pytest
from s3fs import S3FileSystem

from client._remote import listing, patience, reading, writing
from client._remote.addresses import beside, canonical, file_name, is_remote, lacks, no_bucket, opened, parts_of
from client._remote.listing import files_below
from client._remote.looking import is_file, is_prefix
from client._remote.pattern import files_matching, is_pattern
from client._remote.reading import local_copy, on_this_machine, read_remote, stream_remote
from client._remote.troubles import Kind, kind_of, sentence_of
from client._remote.writing import UploadError, state_of, upload
from client.errors import InvalidRequest, UnreadableFile
from server.ports import LOOPBACK
from tests.object_store import Faults, ObjectStore, object_store

LIMIT = 1 << 30
MP4 = (".mp4",)


@pytest.fixture(scope="module")
def running_store() -> Iterator[ObjectStore]:
    S3FileSystem.clear_instance_cache()
    with object_store() as store:
        store.make("clips")
        for name in ("a.mp4", "b.txt", "shots/", "shots/c.mp4", "shots/d/e.mp4", "shots/d/.hidden.mp4", "shots2/f.mp4"):
            store.put("clips", name, name.encode())
        store.put("clips", "large.bin", bytes(range(256)) * 400)
        store.put("clips", "odd [1] ü?#.mp4", b"odd")
        yield store
    S3FileSystem.clear_instance_cache()


@pytest.fixture
def store(running_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The store without faults; a call to it is tried again for a quarter of a second, by this project alone."""
    for name, value in (running_store.environment | {"AWS_MAX_ATTEMPTS": "1"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(S3FileSystem, "retries", 1)
    monkeypatch.setattr(patience, "SECONDS", 0.25)
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(patience, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(patience, "_all", {})
    running_store.faults = Faults()
    running_store.requests.clear()
    return running_store


def takes(name: str) -> bool:
    return name.endswith(MP4)


def fails(call: Callable[[], object]) -> UnreadableFile:
    with pytest.raises(UnreadableFile) as raised:
        call()
    return raised.value


def test_what_is_a_url() -> None:
    for name in ("s3://b/k", "https://h/a.mp4", "memory://a", "hf://datasets/o/n/a.mp4", "abfs://c@a.dfs/x"):
        assert is_remote(name)
    for name in ("a.mp4", "/a://b", "C:\\a.mp4", "s3:/b/k", "a b://c", "://x", "-"):
        assert not is_remote(name)
    assert parts_of("s3://bucket/a/b.mp4") == ("s3", "bucket", "a/b.mp4")
    assert parts_of("s3://bucket") == ("s3", "bucket", "")
    assert canonical("s3a://b/k") == canonical("s3://b/k") != canonical("gs://b/k")
    assert file_name("https://h/a.mp4?sig=x/y") == "a.mp4"
    assert file_name("s3://b/a?.mp4") == "a?.mp4"
    assert beside("https://h/d/list.csv?sig=x/y", "e/a.mp4") == "https://h/d/e/a.mp4"


def test_a_missing_package_and_an_unknown_scheme_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client._optional.find_spec", lambda name: None if name == "s3fs" else name)
    expected = "s3:// needs s3fs: pip install s3fs (the extra 'cloud' of the wheel has them)"
    assert lacks("s3://b/k") == expected
    assert str(fails(lambda: opened("s3://b/k"))) == expected
    assert "cannot open rtsp://: Protocol not known: rtsp" in str(fails(lambda: opened("rtsp://camera/1")))


def test_a_prefix_is_listed_with_everything_below_it(store: ObjectStore) -> None:
    assert [*files_below("s3://clips/shots/")] == [
        "s3://clips/shots/c.mp4",
        "s3://clips/shots/d/.hidden.mp4",
        "s3://clips/shots/d/e.mp4",
    ]
    assert len([*files_below("s3://clips")]) == 8
    assert [*files_below("s3://clips/nothing/")] == []


def test_a_listing_is_read_as_far_as_it_is_used(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 2)
    names = files_below("s3://clips/")
    assert store.requests == []
    assert len([*islice(names, 3)]) == 3
    assert store.asked("GET") == 2
    assert len([*names]) == 5
    assert store.asked("GET") == 5  # the marker of the folder is a key, and no file


def test_a_page_that_fails_is_asked_for_again(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 1)
    monkeypatch.setattr(patience, "SECONDS", 5)
    store.faults.refused, store.faults.broken = 0.3, 0.3
    names = [*files_below("s3://clips/")]
    assert len(names) == len({*names}) == 8
    assert store.asked("GET") > 9


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.mp4", ["a.mp4", "odd [1] ü?#.mp4"]),
        ("shots*/*.mp4", ["shots/c.mp4", "shots2/f.mp4"]),
        ("**/*.mp4", ["a.mp4", "odd [1] ü?#.mp4", "shots/c.mp4", "shots/d/e.mp4", "shots2/f.mp4"]),
        ("shots/*", ["shots/c.mp4", "shots/d/.hidden.mp4", "shots/d/e.mp4"]),
        ("shot?2/", ["shots2/f.mp4"]),
        ("[bx].txt", ["b.txt"]),
    ],
)
def test_patterns_are_those_of_local_files(
    pattern: str, expected: list[str], store: ObjectStore, tmp_path: Path
) -> None:
    found = [name.removeprefix("s3://clips/") for name in files_matching(f"s3://clips/{pattern}", takes)]
    assert sorted(found) == sorted(expected)
    from client._inputs.inputs import Inputs

    for name in ("a.mp4", "b.txt", "shots/c.mp4", "shots/d/e.mp4", "shots/d/.hidden.mp4", "shots2/f.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "odd [1] ü?#.mp4").write_bytes(b"")
    local = sorted(item.path.removeprefix(f"{tmp_path}/") for item in Inputs([f"{tmp_path}/{pattern}"], []))
    assert sorted(found) == local


def test_a_pattern_lists_only_what_begins_as_it_does(store: ObjectStore) -> None:
    assert [*files_matching("s3://clips/shots2*/*.mp4", takes)] == ["s3://clips/shots2/f.mp4"]
    assert ["prefix=shots2&" in f"{path}&" for _, path in store.requests] == [True]
    assert is_pattern("s3://clips/[ab].mp4")
    assert not is_pattern("https://host/a.mp4?x=1")


def test_a_url_is_a_file_or_a_prefix(store: ObjectStore) -> None:
    assert is_file("s3://clips/a.mp4")
    assert is_file("s3://clips/odd [1] ü?#.mp4")
    assert not is_file("s3://clips/shots")
    assert not is_file("s3://clips/nothing")
    assert is_prefix("s3://clips/shots")
    assert is_prefix("s3://clips")
    assert not is_prefix("s3://clips/b.txt")
    assert not is_prefix("https://host/a")


def test_memory_and_folders_of_this_machine_are_stores_too(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe({"/videos/a.mp4": b"a", "/videos/b/c.mp4": b"c"})
    assert sorted(files_below("memory://videos/")) == ["memory://videos/a.mp4", "memory://videos/b/c.mp4"]
    assert [*files_matching("memory://videos/*/*.mp4", takes)] == ["memory://videos/b/c.mp4"]
    assert read_remote("memory://videos/a.mp4", LIMIT) == b"a"
    (tmp_path / "d.mp4").write_bytes(b"d")
    assert [*files_below(f"file://{tmp_path}/")] == [f"file://{tmp_path}/d.mp4"]
    assert read_remote(f"file://{tmp_path}/d.mp4", LIMIT) == b"d"
    memory.rm("/videos", recursive=True)


def test_a_file_is_read_whole_in_parts_and_as_a_stream(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    large = bytes(range(256)) * 400
    assert read_remote("s3://clips/a.mp4", LIMIT) == b"a.mp4"
    assert read_remote("s3://clips/odd [1] ü?#.mp4", LIMIT) == b"odd"
    assert (store.asked("HEAD"), store.asked("GET")) == (2, 2)
    monkeypatch.setattr(reading, "PART_BYTES", 10_000)
    assert read_remote("s3://clips/large.bin", LIMIT) == large
    assert store.asked("GET", "large.bin") == 11
    with stream_remote("s3://clips/large.bin") as stream:
        assert stream.read(5) == large[:5]
        assert stream.read() == large[5:]
    assert store.asked("GET", "large.bin") == 22
    with on_this_machine("s3://clips/large.bin") as path:
        copy = Path(path)
        assert (copy.name, copy.read_bytes()) == ("large.bin", large)
    assert not copy.exists()
    with on_this_machine("/some/file") as path:
        assert path == "/some/file"


def test_ranges_are_read_at_the_same_time(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PART_BYTES", 20_000)
    together = threading.Barrier(3, timeout=10)
    range_of = reading.RemoteFile._range

    def held(self: reading.RemoteFile, start: int, end: int) -> bytes:
        if start < 60_000:
            together.wait()  # passes when three of them are there
        return range_of(self, start, end)

    monkeypatch.setattr(reading.RemoteFile, "_range", held)
    assert len(read_remote("s3://clips/large.bin", LIMIT)) == 102_400


def test_broken_and_refused_requests_are_made_again(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PART_BYTES", 10_000)
    monkeypatch.setattr(patience, "SECONDS", 10)
    store.faults.refused, store.faults.broken = 0.2, 0.2
    assert read_remote("s3://clips/large.bin", LIMIT) == bytes(range(256)) * 400
    assert store.asked("GET", "large.bin") > 11


def test_a_file_above_the_limit_is_not_read(store: ObjectStore) -> None:
    with pytest.raises(InvalidRequest, match=r"the file has 0\.0 GiB; a request can carry") as raised:
        read_remote("s3://clips/large.bin", 1000)
    assert raised.value.reason == "too_large"
    assert store.asked("GET") == 0


def test_a_file_that_changes_while_it_is_read_is_refused(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PART_BYTES", 10)
    store.put("clips", "changing.bin", b"1" * 35)
    range_of = reading.RemoteFile._range

    def changed(self: reading.RemoteFile, start: int, end: int) -> bytes:
        store.put("clips", "changing.bin", b"2" * 35)
        return range_of(self, start, end)

    monkeypatch.setattr(reading.RemoteFile, "_range", changed)
    assert str(fails(lambda: read_remote("s3://clips/changing.bin", LIMIT))) == (
        "the file changed in the store while it was read"
    )
    store._backend.delete_object("clips", "changing.bin")


def test_what_a_store_refuses_has_a_reason(store: ObjectStore) -> None:
    store.faults.forbidden = ("/a.mp4",)
    error = fails(lambda: read_remote("s3://clips/none.mp4", LIMIT))
    assert error.reason == "not_found"
    assert str(error).startswith("the store has no such file")
    assert str(fails(lambda: [*files_below("s3://nobucket/")])) == "the store has no such bucket (404)"
    forbidden = fails(lambda: read_remote("s3://clips/a.mp4", LIMIT))
    assert forbidden.reason == "forbidden"
    assert str(forbidden).startswith("the store refuses access (403): ")
    assert store.asked("HEAD", "/a.mp4") == 1
    folder = fails(lambda: read_remote("s3://clips/shots", LIMIT))
    assert (folder.reason, str(folder)) == ("unreadable_file", "cannot read the file: it is a folder")


def test_a_file_that_alone_fails_is_a_failure_and_a_store_that_is_away_is_said(store: ObjectStore) -> None:
    store.faults.failing = ("/a.mp4",)
    alone = fails(lambda: read_remote("s3://clips/a.mp4", LIMIT))
    assert alone.reason == "store_failed"
    assert str(alone).startswith("the store does not answer or breaks off (500): ")
    store.faults = Faults(away=True)
    assert fails(lambda: read_remote("s3://clips/b.txt", LIMIT)).reason == "store_away"
    store.faults = Faults(throttles=True)
    throttled = fails(lambda: read_remote("s3://clips/b.txt", LIMIT))
    assert throttled.reason == "store_away"
    assert str(throttled).startswith("the store refuses further requests (503): ")


def test_a_throttled_file_is_a_failure_if_the_store_answers_others(store: ObjectStore) -> None:
    waits = patience.patience_with("s3://clips/a.mp4")

    def call() -> None:
        waits.succeeded()
        raise OSError("SlowDown") from FakeError({"Error": {"Code": "SlowDown"}})

    assert fails(lambda: waits(call)).reason == "throttled"


class FakeError(Exception):
    """As botocore's."""

    def __init__(self, response: object) -> None:
        super().__init__("fake")
        self.response = response


def test_throttling_pauses_every_call_and_is_said_once(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr(patience, "SECONDS", 0.2)
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.08)
    now = [100.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(patience.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(patience.time, "sleep", sleep)
    monkeypatch.setattr(patience.random, "uniform", lambda _, most: most)
    waits = patience.Patience("s3://clips")
    first = patience.Waiting(waits)
    error = OSError("busy")
    error.__cause__ = FakeError({"ResponseMetadata": {"HTTPStatusCode": 503}})
    first.after(error)
    assert slept == pytest.approx([0.08])
    other = patience.Waiting(waits)  # one refusal alone pauses nobody else
    assert slept == pytest.approx([0.08])
    first._patience.pause(0.5, "why", together=True, long=False)
    now[0] -= 0.3
    patience.Waiting(waits)
    assert slept[-1] == pytest.approx(0.3)
    with caplog.at_level(logging.WARNING, "video_motion"):
        for _ in range(2):
            waits.pause(0.0, "the store refuses further requests (503): busy", together=False, long=True)
    assert caplog.messages == ["s3://clips: the store refuses further requests (503): busy; trying again for 0.2 s"]
    assert other is not None


def test_what_exceptions_mean() -> None:
    assert kind_of(FileNotFoundError("x")) is Kind.NOT_FOUND
    assert kind_of(PermissionError("x")) is Kind.FORBIDDEN
    assert kind_of(ConnectionResetError("x")) is Kind.BROKEN
    assert kind_of(TimeoutError("x")) is Kind.BROKEN
    assert kind_of(FakeError({"ResponseMetadata": {"HTTPStatusCode": 429}})) is Kind.THROTTLED
    assert kind_of(FakeError({"ResponseMetadata": {"HTTPStatusCode": 401}})) is Kind.FORBIDDEN
    assert kind_of(FakeError({"ResponseMetadata": {"HTTPStatusCode": 502}})) is Kind.BROKEN
    assert kind_of(FakeError({"ResponseMetadata": {"HTTPStatusCode": 400}})) is Kind.REFUSED
    assert kind_of(NotImplementedError("x")) is Kind.REFUSED
    assert kind_of(ValueError("x")) is Kind.REFUSED
    behind = FileNotFoundError("https://host/a.mp4")  # what fsspec says of a web server whatever happens
    behind.__cause__ = ConnectionRefusedError("refused")
    assert kind_of(behind) is Kind.BROKEN
    assert sentence_of(ValueError("a\nb"), Kind.REFUSED) == "the store refuses the request: a b"


@pytest.mark.parametrize("module", ["aiohttp", "httpx2", "azure.core.exceptions"])
def test_a_certificate_that_is_not_trusted_is_not_tried_again(module: str) -> None:
    text = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1006)"
    error: Exception = type("ConnectError", (Exception,), {"__module__": module})(f"Cannot connect: [E: (1, '{text}')]")
    behind = FileNotFoundError("https://host/a.mp4")
    behind.__cause__ = error
    for one in (error, behind):
        assert kind_of(one) is Kind.REFUSED
        assert sentence_of(one, kind_of(one)) == (
            "the certificate of the server is not trusted: certificate has expired"
        )


def test_a_key_that_is_none_is_not_tried_again() -> None:
    above = type("ClientAuthenticationError", (Exception,), {"__module__": "azure.core.exceptions"})
    error = type("AzureSigningError", (above,), {"__module__": "azure.storage.blob"})("Invalid base64-encoded string")
    assert kind_of(error) is Kind.FORBIDDEN


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("s3://b/", "bucket"),
        ("gcs://b/", "bucket"),
        ("abfs://b/", "container"),
        ("hf://b/", "repository"),
        ("memory://b", "folder"),
    ],
)
def test_what_a_file_would_be_in_is_named(url: str, what: str) -> None:
    error = no_bucket(url, UnreadableFile("the store has no such file (404)", reason="not_found"))
    assert (str(error), error.reason) == (f"the store has no such {what} (404)", "not_found")


def test_web_servers_and_googles_store_are_reached_through_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened("https://host/a.mp4")[0].client_kwargs == {"trust_env": True}
    monkeypatch.setitem(fsspec.config.conf, "http", {"client_kwargs": {"trust_env": False, "headers": {"a": "b"}}})
    assert opened("https://host/a.mp4")[0].client_kwargs == {"trust_env": False, "headers": {"a": "b"}}
    given: list[dict[str, Any]] = []
    monkeypatch.setattr("client._optional.find_spec", lambda name: name)

    def url_to_fs(url: str, **options: Any) -> tuple[None, str]:
        given.append(options)
        return None, url

    monkeypatch.setattr(fsspec.core, "url_to_fs", url_to_fs)
    for url in ("gs://b/k", "gcs://b/k", "s3://b/k"):
        opened(url)
    assert [options.get("session_kwargs") for options in given] == [{"trust_env": True}, {"trust_env": True}, None]


def test_a_proxy_of_the_environment_is_used(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store stands for the proxy: it is asked for whole addresses."""
    monkeypatch.setenv("http_proxy", store.endpoint)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    fails(lambda: read_remote("http://host.invalid/clips/a.mp4", LIMIT))
    assert store.asked("HEAD") or store.asked("GET")


def test_googles_store_says_once_that_it_may_not_know_a_bucket(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("client._remote.addresses._bucket_types", set())
    opened("memory://a")
    log = logging.getLogger("gcsfs")
    for bucket in ("one", "one", "two", "one"):
        log.warning(f"Could not determine bucket type for bucket name {bucket}: 403, falling back")
        log.warning("another line")
    assert len(caplog.messages) == 6
    assert sum("bucket type" in line for line in caplog.messages) == 2


def test_wrong_names_of_buckets_are_not_tried_again(store: ObjectStore) -> None:
    assert fails(lambda: [*files_below("s3://not a bucket/")]).reason == "unreadable_file"
    assert store.requests == []


def test_without_credentials_the_store_refuses_access(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    system = S3FileSystem(skip_instance_cache=True)
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda *_, **__: (system, "clips/a.mp4"))
    error = fails(lambda: read_remote("s3://clips/a.mp4", LIMIT))
    assert error.reason == "forbidden"
    assert "Unable to locate credentials" in str(error)


class Web(BaseHTTPRequestHandler):
    """A web server: with ranges or without, that says sizes or not, and refuses."""

    protocol_version = "HTTP/1.1"
    content = bytes(range(200)) * 100
    asked: list[str]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        type(self).asked.append(f"{self.command} {kind}")
        if kind in ("403", "404", "503"):
            self._send(int(kind), b"")
        elif kind == "chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            if self.command == "GET":
                for start in range(0, len(self.content), 5000):
                    data = self.content[start : start + 5000]
                    self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")
        elif kind == "ranges" and (wanted := self.headers.get("Range")):
            start, end = map(int, wanted.removeprefix("bytes=").split("-"))
            data = self.content[start : end + 1]
            self._send(206, data, [("Content-Range", f"bytes {start}-{end}/{len(self.content)}")])
        else:
            self._send(200, self.content)

    def _send(self, status: int, data: bytes, headers: Any = ()) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    Web.asked = []
    server = ThreadingHTTPServer((LOOPBACK, 0), Web)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{LOOPBACK}:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_web_servers_with_and_without_ranges_and_sizes(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PART_BYTES", 7_000)
    for kind in ("ranges", "whole", "chunked"):
        assert read_remote(f"{web}/{kind}/a.mp4?signature=x/y", LIMIT) == Web.content
    with pytest.raises(InvalidRequest, match="a request can carry"):
        read_remote(f"{web}/chunked/a.mp4", 9_000)
    copy, remove = local_copy(f"{web}/chunked/list.csv?x=1")
    assert (copy.name, copy.read_bytes()) == ("list.csv", Web.content)
    remove()
    Web.asked.clear()
    copy, remove = local_copy(f"{web}/whole/list.csv")
    assert copy.read_bytes() == Web.content
    assert Web.asked.count("GET whole") == 1  # no range is asked for before the first one has come
    remove()
    copy, remove = local_copy(f"{web}/ranges/list.csv")
    assert copy.read_bytes() == Web.content
    remove()
    assert "does not send ranges" in str(fails(lambda: stream_remote(f"{web}/whole/a.tar").read()))


def test_what_a_web_server_refuses_has_a_reason_without_the_address(
    web: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(patience, "SECONDS", 0.1)
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(patience, "_all", {})
    expected = {"404": "not_found", "403": "forbidden", "503": "store_away"}
    for kind, reason in expected.items():
        error = fails(lambda kind=kind: read_remote(f"{web}/{kind}/a.mp4?signature=secret", LIMIT))  # type: ignore[misc]
        assert (kind, error.reason) == (kind, reason)
        assert f"({kind})" in str(error)
        assert "secret" not in str(error)
    nobody = fails(lambda: read_remote(f"http://user:secret@{LOOPBACK}:1/a.mp4?signature=secret", LIMIT))
    assert nobody.reason == "store_away"
    assert f"Cannot connect to host {LOOPBACK}:1" in str(nobody)
    assert "secret" not in str(nobody) + caplog.text


def test_a_file_is_uploaded_in_the_place_of_what_is_there(store: ObjectStore, tmp_path: Path) -> None:
    local = tmp_path / "scores.csv"
    for content in (b"old", b"new and longer"):
        local.write_bytes(content)
        upload(local, "s3://clips/out/scores.csv")
        assert store.get("clips", "out/scores.csv") == content
    upload(local, "memory://out/scores.csv")
    assert read_remote("memory://out/scores.csv", LIMIT) == b"new and longer"
    assert [*files_below("memory://out/")] == ["memory://out/scores.csv"]
    store._backend.delete_object("clips", "out/scores.csv")


@pytest.mark.slow
def test_an_upload_that_fails_leaves_what_is_there_and_no_parts(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("clips", "out.parquet", b"old")
    local = tmp_path / "out.parquet"
    local.write_bytes(bytes(12 << 20))
    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda *_, **__: 5 << 20)
    monkeypatch.setattr(
        opened("s3://clips/out.parquet")[0], "max_concurrency", 1
    )  # moto mixes up parts that are given up
    store.faults.failing_query = "partNumber=3"
    with pytest.raises(UploadError, match=r"s3://clips/out\.parquet: cannot write it: the store .*out\.parquet$"):
        upload(local, "s3://clips/out.parquet")
    assert store.get("clips", "out.parquet") == b"old"
    assert store.unfinished("clips") == 0
    store.faults = Faults()
    upload(local, "s3://clips/out.parquet")
    assert store.get("clips", "out.parquet") == bytes(12 << 20)
    assert store.asked("PUT", "out.parquet") >= 3  # in parts
    store._backend.delete_object("clips", "out.parquet")


def test_the_state_of_an_output_lies_in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    one, same, other = map(state_of, ("s3://b/scores.parquet", "s3a://b/scores.parquet", "s3://c/scores.parquet"))
    assert one == same != other
    assert one.parent == tmp_path / "video-motion"
    assert one.name.startswith("scores.parquet-")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_of("s3://b/x").is_relative_to(tmp_path / ".local" / "state")
    assert not writing.can_write("https://host/scores.csv")
