"""One caller's long videos do not keep another's short clips waiting."""

import os
import re
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from client import Client
from fixtures.bombs import bomb
from fixtures.synthetic import encode
from server import Server, Settings, running
from server.proxy import MAX_IN_FLIGHT, MAX_PER_CALLER, MAX_PER_CALLER_WITH_GPU
from tests.configs import config_of
from tests.conftest import DECODE_TIMEOUT_SECONDS
from tests.processes import cpu_seconds, workers
from tests.test_proxy import OWN_CONNECTION, ask
from tests.waiting import wait_for

LONG_VIDEOS = 8


@pytest.mark.parametrize("model", ["video_sampling", "video_decode", "motion_backbone", "camera_classifier"])
def test_one_caller_never_uses_all_instances_of_a_model(model: str) -> None:
    (group,) = config_of(model, "cpu").instance_group
    assert group.count > MAX_PER_CALLER


@pytest.mark.parametrize("profile", ["gpu", "tensorrt"])
def test_one_caller_never_uses_all_instances_that_decode_beside_a_gpu(profile: str) -> None:
    (group,) = config_of("video_decode", profile).instance_group
    assert MAX_PER_CALLER_WITH_GPU < group.count <= MAX_IN_FLIGHT


@pytest.mark.slow
def test_a_short_clip_is_answered_before_earlier_long_videos(server: Server) -> None:
    long, short = encode(200, rate=5), encode(50, width=320, height=180)
    order: list[str] = []
    under_way = threading.Event()

    def ask(client: Client, name: str, video: bytes) -> None:
        score = client.score(video)
        assert len(score.camera) == (20 if name == "long" else 1)
        order.append(name)
        under_way.set()

    # Another host name gives the second caller a connection of its own.
    with Client(server.url) as theirs, Client(server.url.replace("127.0.0.1", "localhost")) as ours:
        others = [threading.Thread(target=ask, args=(theirs, "long", long)) for _ in range(LONG_VIDEOS)]
        for thread in others:
            thread.start()
        under_way.wait(60)
        ask(ours, "short", short)
        for thread in others:
            thread.join()
    # After those in flight, but before those that waited already.
    assert len(order) == LONG_VIDEOS + 1
    assert order.index("short") <= 1 + MAX_PER_CALLER


@pytest.mark.slow
def test_a_decoder_is_taken_from_a_small_file_when_others_come(tiny_repository: Path, tmp_path: Path) -> None:
    repository = Path(shutil.copytree(tiny_repository, tmp_path / "models"))
    for model in ("video_decode", "video_sampling"):
        config = repository / model / "configs" / "cpu.pbtxt"
        text = config.read_text().replace(f'"{DECODE_TIMEOUT_SECONDS}"', '"30"')
        config.write_text(re.sub(r'(BUSY_CPU_SECONDS" value { string_value: )"10"', r'\1"0.1"', text))
    good = encode(20)
    with running(Settings.on_free_ports(repository, precision="f32")) as server, ExitStack() as stack:
        theirs, *ours = (
            stack.enter_context(grpc.InferenceServerClient(server.url, channel_args=OWN_CONNECTION)) for _ in range(21)
        )
        expected = ask(theirs, good).as_numpy("MOTION_SCORES").tolist()
        pool = stack.enter_context(ThreadPoolExecutor(21))
        decoders, samplers = (workers(server.process.pid, f"video_{step}") for step in ("decode", "sampling"))
        before = {pid: cpu_seconds(pid) for pid in decoders}
        held = pool.submit(ask, theirs, bomb(1920, 1080, 18_000))
        wait_for(lambda: any(cpu_seconds(pid) > before[pid] + 0.2 for pid in decoders))
        # The others wait before they are decoded, so that nothing but their presence takes the decoder.
        for pid in samplers:
            os.kill(pid, signal.SIGSTOP)
        started = time.monotonic()
        waiting = [pool.submit(ask, triton, good) for triton in ours]
        with pytest.raises(
            InferenceServerException, match=r"its share while other callers are served .*\[busy\]"
        ) as raised:
            held.result()
        assert time.monotonic() - started < 20
        assert raised.value.status() == "StatusCode.UNAVAILABLE"
        for pid in samplers:
            os.kill(pid, signal.SIGCONT)
        assert [answer.result().as_numpy("MOTION_SCORES").tolist() for answer in waiting] == [expected] * len(ours)
