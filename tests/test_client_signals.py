"""Signals of the client library: what is requested, what a `Score` has, and what is refused; no server."""

import asyncio
import json
from typing import Any

import numpy as np
import pytest

from client import Action, AsyncClient, Client, InvalidRequest, Metrics, Score, ServedHead, ServerError
from client._sdk.signals import SIGNALS
from tests.fake_triton import FakeTriton, fake_triton
from tests.stub_server import answer_everything
from tests.stub_signals import (
    FRAME_EMBEDDINGS,
    HEAD_LABELS,
    SEGMENT_EMBEDDINGS,
    SIGNAL_OUTPUTS,
    WEIGHTS,
    SignalsConnection,
    answer_with_signals,
)

ALL = tuple(SIGNALS)


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> SignalsConnection:
    return answer_with_signals(monkeypatch)


def test_all_signals_of_one_request(connection: SignalsConnection) -> None:
    with Client() as client:
        score = client.score(b"a video", signals=ALL, frames=3)
    assert connection.models == ["video_sampling", "video_signals"]
    assert connection.videos == [b"a video"]
    assert connection.parameters == [{"frames": 3, "signals": "motion,camera,segments,frames,actions,metrics"}]
    assert {*connection.asked[0]} == {*SIGNAL_OUTPUTS}
    assert score.frames is not None
    assert score.segments is not None
    assert score.actions is not None
    assert np.array_equal(score.frames.embeddings, FRAME_EMBEDDINGS)
    assert score.frames.embeddings.dtype == score.frames.seconds.dtype == np.float32
    assert np.allclose(score.frames.seconds, [0, 1.75, 3.4583333])
    assert np.array_equal(score.segments, SEGMENT_EMBEDDINGS)
    first, second = score.actions.clips
    assert (second.start_seconds, second.end_seconds) == (2, 3.5)
    assert [action.label for action in first.actions] == ["run", "jump", "sit", "wave", "read"]
    assert second.actions[:2] == (Action("jump", 0.75), Action("sing", 0.25))
    # The mean over both clips of all probabilities; `sing` is among the top five of the second clip alone.
    assert score.actions.video[:3] == (Action("jump", 0.5), Action("run", 0.25), Action("sing", 0.13125))
    assert score.heads == {
        "genre": {"sport": 0.125, "news": 0.75, "other": 0.125},
        "shot": {"still": 0.25, "moving": 0.75},
    }
    assert score.metrics == Metrics(frames=12, mean_velocity=0.75)
    assert score.motion.dynamics_score == 2.5
    assert [clip.labels for clip in score.camera] == [["right"], ["right", "left"]]


def test_the_weights_name_every_network(connection: SignalsConnection) -> None:
    with Client() as client:
        weights = client.weights()
    assert (weights.frames, weights.actions) == ("c@3", "d@4")
    assert weights.action_labels[1] == "jump"
    assert weights.heads[0] == ServedHead("genre", "frames", HEAD_LABELS, "directory /heads/genre")
    assert weights.signals == ALL


@pytest.mark.parametrize("signal", ALL)
def test_a_signal_alone_is_asked_for_alone(signal: str, connection: SignalsConnection) -> None:
    with Client() as client:
        score = client.score(b"a", signals=[signal], heads=())
    assert connection.parameters == [{"signals": signal}]
    common = {"VIDEO_INFO", "HEADER_DURATION_SECONDS", "WEIGHTS", "DECODER"}
    assert {*connection.asked[0]} == common | {*SIGNALS[signal]}
    assert [name for name in ALL if getattr(score, name) is not None] == [signal]
    assert score.heads is None
    assert score.info.frames == 84


def test_without_signals_the_request_and_the_answer_are_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = answer_everything(monkeypatch)
    sent: list[dict[str, Any]] = []
    infer = plain.infer
    plain.infer = lambda **options: sent.append(options) or infer(**options)  # type: ignore[func-returns-value,method-assign]
    with Client() as client:
        score = client.score(b"a", fps=2)
        assert score == client.score(b"a", fps=2, signals=None)
    assert [options["model_name"] for options in sent] == ["video_motion"] * 2
    assert [options["parameters"] for options in sent] == [{"fps": 2.0}] * 2
    assert (score.frames, score.segments, score.actions, score.heads) == (None,) * 4
    assert list(score.as_dict()) == ["motion", "camera", "info", "weights", "decoder"]
    assert list(score.as_dict()["weights"]) == ["motion", "camera", "precision"]


def test_the_json_object_has_what_was_asked_for_and_exact_embeddings(connection: SignalsConnection) -> None:
    with Client() as client:
        content = client.score(b"a", signals="camera, segments ,frames,actions", heads="genre").as_dict()
    content = json.loads(json.dumps(content))
    assert list(content) == [
        *("camera", "segment_embeddings", "frame_embeddings", "frame_seconds", "actions", "head_genre"),
        *("info", "weights", "decoder"),
    ]
    assert np.array_equal(np.array(content["segment_embeddings"], np.float32), SEGMENT_EMBEDDINGS)
    assert np.array_equal(np.array(content["frame_embeddings"], np.float32), FRAME_EMBEDDINGS)
    assert max(len(str(value)) for row in content["frame_embeddings"] for value in row) <= len("-0.714285731")
    assert content["actions"]["video"][0] == {"label": "jump", "probability": 0.5}
    assert content["actions"]["clips"][1]["start_seconds"] == 2
    assert content["head_genre"] == {"sport": 0.125, "news": 0.75, "other": 0.125}
    assert content["weights"] == {
        **{"motion": "a@1", "camera": "b@2", "precision": "f32"},
        **{"frames": "c@3", "actions": "d@4", "head_genre": "directory /heads/genre"},
    }


def test_a_head_is_computed_without_its_embeddings_being_sent(connection: SignalsConnection) -> None:
    with Client() as client:
        score = client.score(b"a", signals=["motion"], heads=["genre"], frames=8)
        alone = client.score(b"a", heads=["shot"])
    assert connection.parameters == [{"frames": 8, "signals": "motion,frames"}, {"signals": "segments"}]
    assert "FRAME_EMBEDDINGS" not in connection.asked[0]
    assert score.frames is None
    assert score.heads == {"genre": {"sport": 0.125, "news": 0.75, "other": 0.125}}
    assert alone.motion is None
    assert alone.heads == {"shot": {"still": 0.25, "moving": 0.75}}


def test_heads_come_with_the_signals_that_they_need(connection: SignalsConnection) -> None:
    with Client() as client:
        frames, segments = (client.score(b"a", signals=[name]) for name in ("frames", "segments"))
    assert frames.heads is not None
    assert segments.heads is not None
    assert ([*frames.heads], [*segments.heads]) == (["genre"], ["shot"])


def test_scores_compare_their_arrays(connection: SignalsConnection) -> None:
    with Client() as client:
        one, same = (client.score(b"a", signals=ALL) for _ in range(2))
        other = client.score(b"a", signals=ALL, heads=())
    assert one == same
    assert one != other
    connection.outputs = SIGNAL_OUTPUTS | {"SEGMENT_EMBEDDINGS": SEGMENT_EMBEDDINGS + 1}
    with Client() as client:
        assert client.score(b"a", signals=ALL) != one


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"signals": ()}, "no signals are named; the signals are motion, camera, segments, frames, actions, metrics"),
        ({"signals": " , "}, "no signals are named"),
        ({"signals": ("motion", "sound")}, "there is no signal 'sound'; the signals are motion, camera,"),
        ({"signals": 5}, "signals must be names, or a text with commas"),
        ({"signals": (1, 2)}, "signals must be names, or a text with commas"),
        ({"signals": "motion", "heads": 5}, "heads must be names, or a text with commas"),
        ({"frames": 5}, "frames is given, but not signals"),
        ({"signals": "motion", "frames": 5}, "frames is given, but frames is not among the signals"),
        ({"signals": "frames", "heads": "sport"}, "does not serve the head 'sport'; it serves genre, shot"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    arguments: dict[str, Any], message: str, connection: SignalsConnection
) -> None:
    with Client() as client, pytest.raises(InvalidRequest, match=message) as raised:
        client.score(b"a", **arguments)
    assert raised.value.reason == "invalid_parameter"
    assert connection.videos == []


def test_a_signal_that_is_not_served_is_an_error_that_names_what_is(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = answer_with_signals(monkeypatch, {name: WEIGHTS[name] for name in ("motion", "camera", "labels")})
    with Client() as client:
        with pytest.raises(InvalidRequest, match="not serve the signal frames; it serves motion, camera, segments"):
            client.score(b"a", signals=("frames", "actions"))
        with pytest.raises(InvalidRequest, match="does not serve the head 'genre'; it serves no heads"):
            client.score(b"a", heads="genre")
        assert connection.videos == []
        assert client.score(b"a", signals="segments").segments is not None


def test_a_server_without_the_model_is_said_to_have_none(connection: SignalsConnection) -> None:
    connection.has_signals = False
    with Client() as client:
        with pytest.raises(InvalidRequest, match="the server has no model video_signals, so no signals can be named"):
            client.score(b"a", signals="motion")
        assert client.score(b"a").motion.camera_movement_score == 0.5


def test_networks_that_come_and_go_are_noticed(connection: SignalsConnection) -> None:
    connection.weights = {**WEIGHTS, "heads": {"genre": WEIGHTS["heads"]["genre"]}}
    del connection.weights["actions"]
    with Client() as client:
        assert client.score(b"a", signals="frames,segments").heads == {
            "genre": {"sport": 0.125, "news": 0.75, "other": 0.125}
        }
        connection.weights = WEIGHTS  # an export added networks
        assert client.score(b"a", signals="actions").actions is not None
        assert client.score(b"a", signals="segments").heads == {"shot": {"still": 0.25, "moving": 0.75}}
        connection.weights = {**WEIGHTS, "heads": {}}  # another one removed the heads
        assert client.score(b"a", signals="segments").heads is None
    assert connection.models.count("video_sampling") == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FRAME_SECONDS", np.zeros(2, np.float32)),
        ("FRAME_EMBEDDINGS", np.zeros(3, np.float32)),
        ("SEGMENT_EMBEDDINGS", np.zeros((2, 3), np.float64)),
        ("ACTION_PROBABILITIES", np.zeros((2, 5), np.float32)),
        ("ACTION_PROBABILITIES", np.zeros((1, 6), np.float32)),
        ("HEAD_GENRE", np.zeros((1, 2), np.float32)),
    ],
)
def test_an_answer_that_does_not_fit_is_an_error(
    name: str, value: np.ndarray[Any, Any], connection: SignalsConnection
) -> None:
    connection.outputs = SIGNAL_OUTPUTS | {name: value}
    with Client() as client, pytest.raises(ServerError, match="the answer of the server is not that of this model"):
        client.score(b"a", signals=ALL)


def test_both_clients_ask_alike_over_grpc(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of `signals` in a real request, and the error of a server without the model."""
    asked: list[Any] = []
    answer = FakeTriton.ModelInfer

    def keep(self: FakeTriton, request: Any, context: Any) -> Any:
        asked.append(request)
        return answer(self, request, context)

    monkeypatch.setattr(FakeTriton, "ModelInfer", keep)
    with fake_triton() as (_, port):

        async def ask() -> Score:
            async with AsyncClient(f"127.0.0.1:{port}") as client:
                with pytest.raises(InvalidRequest, match="does not serve the signal frames"):
                    await client.score(b"a", signals="frames")
                return await client.score(b"a", signals=["motion"], fps=2)

        awaited = asyncio.run(ask())
        with Client(f"127.0.0.1:{port}") as client:
            assert client.score(b"a", signals=["motion"], fps=2) == awaited
    assert awaited.camera is None
    assert awaited.motion.camera_movement_score == 0.5
    request = asked[-1]
    assert request.model_name == "video_signals"
    assert request.parameters["signals"].string_param == "motion"
    assert request.parameters["fps"].double_param == 2
