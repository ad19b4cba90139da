"""The parts of scoring on Ray that need no Ray: blocks, columns, the asynchronous scorer, and options."""

import json
import os
import pickle
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
import pyarrow as pa
import pytest

from client import ClientError, InvalidRequest, Score, ServerAway, ServerError, Weights
from client._commands import score as command
from client._inputs.item import Content, Item
from client._ray import dataset, engine, waves
from client._ray.address import Address, ClusterError, cluster_address
from client._ray.dataset import OtherWeights, Work
from client._ray.engine import Cluster, RayRun
from client._ray.pool import Actors
from client._ray.rows import Columns
from client._ray.scorer import Job, Scorer, Servers
from client._ray.videos import videos_of
from client._runs.signal_options import SignalOptions
from client._sdk.signals import Asked
from client._tables.row import failed_row
from client._tables.table import Metadata
from client.ray import score
from fixtures.fake_server import FakeServer, content, fake_server
from server.ports import LOOPBACK
from tests.waiting import wait_for

WEIGHTS = Weights("a@1", "b@2", ("left", "right"), "f32")


def test_waves_hold_so_many_videos_and_number_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    taken: list[int] = []

    def items() -> Iterator[Item]:
        for number in range(150):
            taken.append(number)
            yield Item(f"{number}.mp4", start_seconds=number / 2 if number % 2 else None)

    found = waves.waves(items(), videos=100)
    first = next(found)
    assert len(taken) == 100  # the list is read as needed
    second = next(found)
    assert next(found, None) is None
    assert [len(first.items), len(second.items)] == [100, 50]
    assert [block.num_rows for block in first.blocks] == [64, 36]
    rows = pa.concat_tables([*first.blocks, *second.blocks]).to_pylist()
    assert [row["number"] for row in rows] == list(range(150))
    assert rows[3]["path"] == os.fsencode(tmp_path / "3.mp4")  # an actor has another working directory
    assert (rows[3]["start_seconds"], rows[4]["start_seconds"], rows[3]["content"]) == (1.5, None, None)
    assert second.items[149].path == "149.mp4"


def test_waves_of_encoded_files_are_bounded_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waves, "BLOCK_BYTES", 2500)
    items = (Item(f"{number}.mp4", content=Content(bytes(1000), None)) for number in range(10))
    found = list(waves.waves(items, size=4000))
    assert [[block.num_rows for block in wave.blocks] for wave in found] == [[3, 1], [3, 1], [2]]
    assert found[0].blocks[0].column("content").to_pylist() == [bytes(1000)] * 3


@pytest.mark.parametrize(
    ("block", "column", "name", "expected"),
    [
        ({"path": ["a.mp4", None]}, "path", None, [("a.mp4", "a.mp4"), ("", None)]),
        ({"video": pa.array(["a", "a"]).dictionary_encode()}, "video", None, [("a", "a"), ("a", "a")]),
        ({"data": [b"1", None], "path": ["a", "b"]}, "data", None, [("a", b"1"), ("b", None)]),
        ({"data": [b"1"], "path": ["a"], "id": ["x"]}, "data", "id", [("x", b"1")]),
        ({"data": [b"1"]}, "data", None, [("blake2b:", b"1")]),
        (
            {"video": [{"bytes": b"1", "path": "a"}, {"bytes": None, "path": "b"}, None]},
            "video",
            None,
            [("a", b"1"), ("b", "b"), ("", None)],
        ),
    ],
)
def test_a_column_names_videos_or_holds_them(
    block: dict[str, Any], column: str, name: str | None, expected: list[tuple[str, Any]]
) -> None:
    found = videos_of(pa.table(block), column, name)
    assert [(one.item.path.partition(":")[0] + ":" * (":" in one.item.path), one.video) for one in found] == expected


def test_columns_of_a_dataset_select_parts() -> None:
    block = pa.table({"path": ["a", "b"], "start_seconds": [1, 2], "end_seconds": [2.5, float("nan")]})
    assert [one.item.part for one in videos_of(block, "path", None)] == [
        {"start_seconds": 1, "end_seconds": 2.5},
        {"start_seconds": 2},
    ]


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ({"video": ["a"], "id": [1]}, "the dataset has no column 'path'; it has video, id"),
        ({"path": [1]}, "the column 'path' has type int64, not names or encoded files"),
        ({"path": ["a"], "start_seconds": ["1"]}, "the column 'start_seconds' has type string, not seconds"),
    ],
)
def test_a_column_that_cannot_be_used_is_named(block: dict[str, Any], sentence: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"^{re.escape(sentence)}$"):
        videos_of(pa.table(block), "path", None)


def test_every_block_has_the_same_columns_whatever_became_of_its_videos() -> None:
    """Also embeddings, whose width a block of failures does not know."""
    signals = SignalOptions(Asked(("segments", "frames"), ()), "float16")
    columns = Columns(WEIGHTS, {"fps": 2.0}, signals)
    failed = failed_row("a", ClientError("no"), {})
    embeddings = {"segment_embeddings": np.ones((3, 5), np.float16), "frame_embeddings": np.ones((2, 4), np.float16)}
    info = {"duration_seconds": 1.0, "frames": 25, "frames_per_second": 25.0, "width": 64, "height": 48}
    good = {"video": "b", "info": info, "weights": {}, "frame_seconds": np.zeros(2, np.float32)} | embeddings
    none, some = columns.table([failed]), columns.table([good, failed])
    assert none.schema.equals(some.schema, check_metadata=True)
    assert some.column_names == columns.names
    assert some.column("segment_embeddings").to_pylist() == [[[1.0] * 5] * 3, None]
    assert some.column("segment_embeddings").type == pa.list_(pa.list_(pa.float16()))
    metadata = Metadata.of(some)
    assert (metadata.labels, metadata.parameters, metadata.signals) == (
        ("left", "right"),
        {"fps": 2.0},
        ("segments", "frames"),
    )


def numbers_of(results: list[Score | ClientError]) -> list[float | None]:
    return [result.motion.camera_movement_score if isinstance(result, Score) else None for result in results]


@pytest.mark.parametrize("count", [1, 64, 128, 200])
def test_every_number_of_videos_fills_blocks(count: int) -> None:
    found = [*waves.waves((Item(f"{number}.mp4") for number in range(count)), videos=128)]
    assert [number for wave in found for number in wave.items] == list(range(count))
    blocks = [block.num_rows for wave in found for block in wave.blocks]
    assert sum(blocks) == count
    assert all(blocks)


def test_many_videos_are_in_flight_at_once_and_results_keep_the_order(tmp_path: Path) -> None:
    with fake_server(tmp_path / "notes", "--seconds", 0.1) as server:
        scorer = Scorer(Servers((server.url,), in_flight=16))
        jobs = [Job(content(number)) for number in range(40)]
        jobs[7] = Job(b"something else")
        results = scorer.score(jobs)
        scorer.close()
        assert server.most_in_flight == 16
    assert numbers_of(results) == [None if number == 7 else number for number in range(40)]
    assert isinstance(results[7], InvalidRequest)
    assert results[7].reason == "not_a_video"


def test_a_full_queue_fails_no_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client._ray.scorer.RETRIES", 0)
    monkeypatch.setattr("client._ray.scorer.FULL_SECONDS", 0.02)
    with fake_server(tmp_path / "notes", "--seconds", 0.02, "--queue", 1) as server:
        scorer = Scorer(Servers((server.url,), in_flight=6))
        results = scorer.score([Job(content(number)) for number in range(30)])
        scorer.close()
        assert len(server.asked("full")) > 30  # more refusals than `RETRIES` would take
    assert numbers_of(results) == [*range(30)]


def test_servers_that_come_back_lose_no_video(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with fake_server(notes, "--seconds", 0.05) as first:
        scorer = Scorer(Servers((first.url,), away_seconds=20, in_flight=4))
        assert numbers_of(scorer.score([Job(content(0))])) == [0]
        first.process.kill()
        first.process.wait()
    port = first.url.rpartition(":")[2]
    # A new actor, which no server has ever answered, waits as well.
    new = Scorer(Servers((first.url,), away_seconds=20, in_flight=4))
    results: list[list[Score | ClientError]] = []
    callers = [
        threading.Thread(target=lambda one=one: results.append(one.score([Job(content(n)) for n in range(8)])))
        for one in (scorer, new)
    ]
    for caller in callers:
        caller.start()
    with fake_server(notes, "--port", port):
        for caller in callers:
            caller.join(30)
        assert [numbers_of(one) for one in results] == [[*range(8)]] * 2
    scorer.close()
    new.close()


def test_servers_that_stay_away_are_an_error_and_no_row(tmp_path: Path) -> None:
    with fake_server(tmp_path / "notes") as server:
        pass
    server.process.wait()
    scorer = Scorer(Servers((server.url,), away_seconds=0.2))
    with pytest.raises(ServerAway, match="no server answers at localhost"):
        scorer.score([Job(content(number)) for number in range(3)])
    scorer.close()


def test_other_weights_end_the_execution() -> None:
    work = Work("path", None, (), {}, None, Columns(Weights("c@3", "b@2", ("left", "right"), "f32"), {}, None))
    with pytest.raises(OtherWeights, match=r"a server has other weights than the first: .*a@1.*, not .*c@3"):
        work.check(type("S", (), {"weights": WEIGHTS})())


@pytest.mark.parametrize(
    "error",
    [
        ServerAway("away", held_request=True),
        InvalidRequest("bad", reason="empty"),
        ServerError("died", reason="server_died"),
        OtherWeights("other"),
    ],
)
def test_results_travel_whole(error: ClientError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.reason) == (type(error), str(error), error.reason)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"concurrency": 0}, "concurrency is (0, 0), it must be at least 1"),
        ({"concurrency": (3, 2)}, "concurrency is (3, 2), it must be at least 1, and the most at least the least"),
        ({"in_flight": 0}, "in_flight is 0, it must be at least 1"),
        ({"rows_per_block": 0}, "rows_per_block is 0, it must be at least 1"),
        ({"num_cpus": 0}, "num_cpus is 0, it must be above 0"),
        ({"embeddings_dtype": "int8"}, "embeddings_dtype is 'int8', it must be 'float32' or 'float16'"),
        ({"fps": -1}, "the parameter fps is -1, it must be"),
        ({"signals": "sound"}, "there is no signal 'sound'"),
        ({"colour": 1}, "there is no parameter 'colour'"),
    ],
)
def test_wrong_options_are_refused_before_anything_runs(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises((ValueError, InvalidRequest), match=f"^{re.escape(sentence)}"):
        score(None, "localhost:1", **options)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--engine", "ray"), "--engine ray needs an --output"),
        (("--ray-address", "auto"), "--ray-address is for --engine ray"),
        (("--ray-actors", "2"), "--ray-actors is for --engine ray"),
        (("--engine", "ray", "--output", "a.csv", "--ray-actors", "0"), "--ray-actors is 0, it must be at least 1"),
        (("--engine", "spark"), "invalid choice: 'spark'"),
    ],
)
def test_wrong_options_of_the_command_are_refused(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as status:
        command.main(["video.mp4", *arguments])
    assert status.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client._optional.find_spec", lambda name: None if name == "ray" else object())


def test_without_ray_a_sentence_says_what_to_install(
    without_ray: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a.parquet"
    assert command.main(["a.mp4", "--engine", "ray", "--output", str(output), "--url", "localhost:1"]) == 1
    expected = "--engine ray needs ray: pip install ray (the extra 'ray' of the wheel has them)"
    assert capsys.readouterr().err == f"video-motion score: {expected}\n"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ImportError, match=r"^video_motion\.ray needs ray: pip install ray"):
        score(None, "localhost:1")


class RayLike(Exception):
    """An error as Ray wraps one."""

    def __init__(self, message: str, cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.cause = cause


def test_the_clients_own_error_is_found_behind_rays() -> None:
    away = ServerAway("no server answers")
    chained = RuntimeError("user code failed")
    chained.__cause__ = away
    assert engine._cause(RayLike("task failed", away)) is away
    assert engine._cause(RayLike("task failed", chained)) is away
    assert str(engine._cause(RayLike("long\nlines\nRayOutOfDisk: full"))) == "Ray failed: RayOutOfDisk: full"


@pytest.mark.parametrize(
    ("option", "variable", "expected"),
    [
        (None, None, Address("local")),
        (None, "", Address("local")),
        (None, "head:6379", Address("head:6379", True)),
        (None, "auto", Address("auto", True)),
        ("auto", None, Address("auto")),
        ("auto", "head:6379", Address("head:6379", True)),  # as Ray has it
        ("local", "head:6379", Address("local")),
        ("other:6379", "wrong", Address("other:6379")),
        ("[::1]:6379", None, Address("[::1]:6379")),
    ],
)
def test_the_address_of_the_cluster(option: str | None, variable: str | None, expected: Address) -> None:
    assert cluster_address(option, {} if variable is None else {"RAY_ADDRESS": variable}) == expected


WRONG_ADDRESSES = (
    *("head", "head:", ":6379", "head:0", "head:65536", "head:port", "::1:6379", " head:6379", "http://head:8265"),
    *("ray://head:10001", "user@head:6379", "head:6379/", "head:\u0663", "spark"),
)


@pytest.mark.parametrize("address", ["", *WRONG_ADDRESSES])
def test_an_option_that_is_no_address_is_refused_with_a_sentence(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["a.mp4", "--engine", "ray", "--output", str(tmp_path / "a.csv"), "--ray-address", address]
    with pytest.raises(SystemExit) as status:
        command.main(arguments)
    assert status.value.code == 2
    sentence = f"--ray-address is {address!r}, it must be auto, local or HOST:PORT"
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("option", [(), ("--ray-address", "auto")])
@pytest.mark.parametrize("address", WRONG_ADDRESSES)
def test_a_variable_that_is_no_address_is_refused_with_a_sentence(
    address: str,
    option: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(SystemExit) as status:
        command.main(["a.mp4", "--engine", "ray", "--output", str(tmp_path / "a.csv"), *option])
    assert status.value.code == 2
    sentence = f"RAY_ADDRESS is {address!r}, it must be auto, local or HOST:PORT"
    assert sentence in capsys.readouterr().err


def test_without_ray_as_engine_the_variable_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://head:8265")
    (tmp_path / "a.mp4").write_bytes(b"a")
    assert command.main([str(tmp_path / "a.mp4"), "--url", "localhost:1", "--away", "0"]) == 1


def test_an_address_where_nothing_listens_is_refused_before_ray_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(is_initialized=lambda: False)  # it has no `init`
    monkeypatch.setattr(engine, "ray_module", lambda _: fake)
    for where, of_variable in (("localhost:1", False), ("localhost:1 (RAY_ADDRESS)", True)):
        cluster = Cluster(Address("localhost:1", of_variable))
        with pytest.raises(ClusterError) as raised:
            RayRun(iter([]), {}, None, servers=Servers(("localhost:1",)), cluster=cluster)
        assert str(raised.value) == f"no Ray cluster at {where}: Connection refused"


METHOD = "/ray.rpc.NodeInfoGcsService/GetClusterId"


class Stub:
    """What Ray generates for its service, as far as it is used."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.GetClusterId = channel.unary_unary(METHOD)


@pytest.fixture
def ray_stub(monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules of Ray that `Address.check` uses."""
    messages = SimpleNamespace(GetClusterIdRequest=bytes)
    service = SimpleNamespace(NodeInfoGcsServiceStub=Stub)
    generated = SimpleNamespace(gcs_service_pb2=messages, gcs_service_pb2_grpc=service)
    for name, module in (
        ("ray", SimpleNamespace()),
        ("ray.core", SimpleNamespace()),
        ("ray.core.generated", generated),
    ):
        monkeypatch.setitem(sys.modules, name, module)


@contextmanager
def grpc_server(answer: grpc.StatusCode | None, *, is_head: bool) -> Iterator[str]:
    """The address of a gRPC server that answers Ray's first question, or knows no method at all."""

    def say(_: bytes, context: grpc.ServicerContext) -> bytes:
        if answer is not None:
            context.abort(answer, "no")
        return b""

    handlers = {METHOD.rpartition("/")[2]: grpc.unary_unary_rpc_method_handler(say)} if is_head else {}
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("ray.rpc.NodeInfoGcsService", handlers)])
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    server.start()
    try:
        yield f"{LOOPBACK}:{port}"
    finally:
        server.stop(None)


@pytest.mark.parametrize("answer", [None, grpc.StatusCode.INTERNAL])
def test_the_head_of_a_cluster_is_accepted(answer: grpc.StatusCode | None, ray_stub: None) -> None:
    with grpc_server(answer, is_head=True) as place:
        Address(place).check()


def test_a_cluster_that_asks_for_a_token_says_how_to_give_it(ray_stub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with grpc_server(grpc.StatusCode.UNAUTHENTICATED, is_head=True) as place:
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
        with pytest.raises(ClusterError) as raised:
            Address(place).check()
        assert str(raised.value) == f"no Ray cluster at {place}: it asks for a token: set RAY_AUTH_MODE=token"
        monkeypatch.setenv("RAY_AUTH_MODE", "token")  # Ray then sends what it finds
        Address(place).check()


def test_another_server_is_refused_before_ray_connects(ray_stub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = "what listens there is no head of one, whose port is mostly 6379"
    with grpc_server(None, is_head=False) as place:
        with pytest.raises(ClusterError) as raised:
            Address(place, True).check()
        assert str(raised.value) == f"no Ray cluster at {place} (RAY_ADDRESS): {sentence}"
        monkeypatch.setenv("RAY_USE_TLS", "1")
        Address(place).check()
    monkeypatch.setenv("RAY_USE_TLS", "0")
    with ThreadingHTTPServer((LOOPBACK, 0), BaseHTTPRequestHandler) as web:
        monkeypatch.setattr(BaseHTTPRequestHandler, "log_message", lambda *_: None)
        threading.Thread(target=web.serve_forever, daemon=True).start()
        with pytest.raises(ClusterError, match=sentence):
            Address(f"{LOOPBACK}:{web.server_port}").check()
        web.shutdown()


def test_a_host_that_is_none_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterError, match=r"^no Ray cluster at a{64}:6379: [^\n]+$"):
        Address(f"{'a' * 64}:6379").check()

    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)
    with pytest.raises(ClusterError, match=r"^no Ray cluster at head:6379: Name or service not known$"):
        Address("head:6379").check()


@pytest.mark.parametrize("address", ["auto", "local"])
@pytest.mark.parametrize("kind", [ConnectionError, Exception])
def test_what_ray_says_of_this_machine_is_a_sentence(
    kind: type[Exception], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(*_: object, **__: object) -> None:
        raise kind("Could not find any running Ray instance.\nMore of it")

    monkeypatch.setattr(engine, "ray_module", lambda _: SimpleNamespace(is_initialized=lambda: False, init=init))
    for name in (engine.NICENESS, "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, "0")  # what it would set for good
    expected = r"^no Ray cluster on this machine: Could not find any running Ray instance\.$"
    with pytest.raises(ClusterError, match=expected):
        RayRun(iter([]), {}, None, servers=Servers(("localhost:1",)), cluster=Cluster(Address(address)))


class FakeDataset:
    """Scores the blocks of a wave in this process, and loses or repeats some."""

    def __init__(self, blocks: list[pa.Table], lost: int, repeated: int) -> None:
        self.blocks = blocks[: len(blocks) - lost] + blocks[:repeated]

    def iter_batches(self, **_: Any) -> Iterator[pa.Table]:
        for block in self.blocks:
            numbers = block.column("number").to_pylist()
            packed = [pickle.dumps(ClientError(str(number))) for number in numbers]
            yield pa.table({"number": numbers, "result": pa.array(packed, pa.large_binary())})


class FakeRay:
    """What `RayRun` uses of Ray."""

    def __init__(self, lost: int = 0, repeated: int = 0) -> None:
        self.lost, self.repeated = lost, repeated
        self.data, self.exceptions = self, self
        self.RayError = RayLike

    def is_initialized(self) -> bool:
        return True

    def put(self, block: pa.Table) -> pa.Table:
        return block

    def from_arrow_refs(self, blocks: list[pa.Table]) -> FakeDataset:
        return FakeDataset(blocks, self.lost, self.repeated)


def run_with(fake: FakeRay, items: list[Item], monkeypatch: pytest.MonkeyPatch) -> RayRun:
    monkeypatch.setattr(engine, "ray_module", lambda _: fake)
    monkeypatch.setattr(engine, "map_blocks", lambda dataset, *_: dataset)
    return RayRun(iter(items), {}, None, servers=Servers(("localhost:1",)), cluster=Cluster())


@pytest.mark.parametrize(
    ("address", "is_own"), [(Address(), True), (Address("auto"), False), (Address("auto", True), False)]
)
def test_a_cluster_of_its_own_has_a_cpu_for_each_actor_and_no_nice_workers(
    address: Address, is_own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (engine.NICENESS, "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, "")  # so that it is as before afterwards
        monkeypatch.delenv(name)
    begun: list[tuple[str, dict[str, Any]]] = []
    context = SimpleNamespace(get_current=SimpleNamespace)
    fake = SimpleNamespace(
        is_initialized=lambda: False,
        init=lambda to, **options: begun.append((to, options)),
        data=SimpleNamespace(DataContext=context),
        shutdown=lambda: None,
    )
    monkeypatch.setattr(engine, "ray_module", lambda _: fake)
    RayRun(iter([]), {}, None, servers=Servers(("localhost:1",)), cluster=Cluster(address, 3))
    ((to, options),) = begun
    # Without an address, Ray takes a cluster of this machine that is not the command's, and then refuses `num_cpus`.
    assert to == ("local" if is_own else "auto")
    assert options.get("num_cpus") == (3 if is_own else None)  # a cluster that is there refuses it
    assert os.environ.get(engine.NICENESS) == ("0" if is_own else None)


def test_a_block_that_comes_twice_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [Item(f"{number}.mp4") for number in range(200)]
    items[5] = Item("wrong", problem=InvalidRequest("the row is wrong"))
    results = list(run_with(FakeRay(repeated=2), items, monkeypatch))
    assert sorted(result.item.path for result in results) == sorted(item.path for item in items)
    assert [str(result.result) for result in results if result.item.path == "wrong"] == ["the row is wrong"]


def test_a_block_that_never_comes_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_with(FakeRay(lost=1), [Item(f"{number}.mp4") for number in range(100)], monkeypatch)
    results = iter(run)
    assert sum(1 for _ in zip(range(64), results, strict=False)) == 64
    with pytest.raises(ClientError, match=r"^Ray ended without the results of 36 videos$"):
        next(results)


def test_a_run_that_is_stopped_takes_no_more_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_with(FakeRay(), [Item(f"{number}.mp4") for number in range(200)], monkeypatch)
    results = []
    for result in run:
        results.append(result)
        run.stop()
    assert len(results) == 64  # the rest of the block, and no other one


def test_the_fake_server_notes_what_it_is_asked(tmp_path: Path) -> None:
    """Other tests rely on it."""
    with fake_server(tmp_path / "notes") as server:
        scorer = Scorer(Servers((server.url,)))
        scorer.score([Job(content(3)), Job(content(3))])
        scorer.close()
        assert isinstance(server, FakeServer)
        assert (server.asked(), server.asked("end"), server.asked("full")) == ([3, 3], [3, 3], [])
        os.kill(server.process.pid, signal.SIGTERM)
        wait_for(lambda: server.process.poll() is not None)
    assert json.dumps(server.asked()) == "[3, 3]"


@pytest.mark.parametrize(
    ("actors", "cpus", "warns"), [(2, 2.0, True), (4, 2.0, True), (1, 2.0, False), (2, None, False)]
)
def test_actors_that_take_all_cpus_are_warned_of(
    actors: int, cpus: float | None, warns: bool, recwarn: pytest.WarningsRecorder
) -> None:
    ray = SimpleNamespace(is_initialized=lambda: cpus is not None, cluster_resources=lambda: {"CPU": cpus})
    dataset._leave_cpus(ray, Actors(actors, actors, 1.0, 64))
    said = [str(one.message) for one in recwarn]
    expected = (
        f"the actors reserve {actors} CPUs and the cluster has {cpus:g}: none is left to read the dataset with. "
        "Unless the cluster grows, lower concurrency or num_cpus"
        if warns
        else None
    )
    assert said == ([expected] if expected else [])
