"""One caller's films do not keep another's short clips waiting."""

import threading

import pytest

from client import Client
from fixtures.synthetic import encode
from server import Server
from server.proxy import MAX_PER_CALLER
from tests.test_config import config_of

FILMS = 8


@pytest.mark.parametrize("model", ["video_sampling", "video_decode", "motion_backbone", "camera_classifier"])
def test_one_caller_never_has_all_instances_of_a_model(model: str):
    (group,) = config_of(model, "cpu").instance_group
    assert group.count > MAX_PER_CALLER


@pytest.mark.slow
def test_a_short_clip_asked_for_after_films_is_answered_before_them(server: Server):
    film, short = encode(300, rate=5), encode(50, width=320, height=180)
    order: list[str] = []
    under_way = threading.Event()

    def ask(client: Client, name: str, video: bytes) -> None:
        score = client.score(video)
        assert len(score.camera) == (30 if name == "film" else 1)
        order.append(name)
        under_way.set()

    # By another name, for a connection of its own.
    with Client(server.url) as theirs, Client(server.url.replace("127.0.0.1", "localhost")) as ours:
        films = [threading.Thread(target=ask, args=(theirs, "film", film)) for _ in range(FILMS)]
        for thread in films:
            thread.start()
        under_way.wait(60)
        ask(ours, "short", short)
        for thread in films:
            thread.join()
    # With the two that were under way, and not after those that had been asked for before it.
    assert len(order) == FILMS + 1
    assert order.index("short") <= 1 + MAX_PER_CALLER
