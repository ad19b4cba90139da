"""One caller's long videos do not keep another's short clips waiting."""

import threading

import pytest

from client import Client
from fixtures.synthetic import encode
from server import Server
from server.proxy import MAX_PER_CALLER
from tests.test_config import config_of

LONG_VIDEOS = 8


@pytest.mark.parametrize("model", ["video_sampling", "video_decode", "motion_backbone", "camera_classifier"])
def test_one_caller_never_uses_all_instances_of_a_model(model: str) -> None:
    (group,) = config_of(model, "cpu").instance_group
    assert group.count > MAX_PER_CALLER


@pytest.mark.slow
def test_a_short_clip_is_answered_before_earlier_long_videos(server: Server) -> None:
    long, short = encode(300, rate=5), encode(50, width=320, height=180)
    order: list[str] = []
    under_way = threading.Event()

    def ask(client: Client, name: str, video: bytes) -> None:
        score = client.score(video)
        assert len(score.camera) == (30 if name == "long" else 1)
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
