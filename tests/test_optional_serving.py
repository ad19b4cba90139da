"""The optional networks and `video_signals` in a real server."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import transformers
from numpy.typing import NDArray
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from client import AsyncClient, Client, InvalidRequest
from client._commands import score as score_command
from export.autoencoder_network import load_autoencoder
from export.networks import export_networks
from export.random_networks import write_actions_checkpoint, write_text_checkpoint
from fixtures.autoencoders import latent_measures, latents_with_diffusers, squares, write_small
from fixtures.encoders import SENTENCES, embed_text_with_transformers, embed_with_transformers, write_text_encoder
from fixtures.synthetic import decode_all, encode
from server import Server, Settings, running
from tests.conftest import leave_one_process_each
from tests.waiting import wait_for
from training.heads.kinds import KINDS
from training.heads.saved import HeadConfig, load_head, save_head
from training.heads.tables import read_rows
from video.isolation import IsolatedDecoder
from video.limits import Limits
from video.measures.latents import LATENT_NAMES
from video.measures.measures import NAMES
from video.resize import crop
from video.sampling import evenly_spread
from video.signals import Signal

LABELS = ("jump", "run", "sit still")


@pytest.fixture(scope="module")
def served(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with every optional network."""
    root = tmp_path_factory.mktemp("served")
    repository = Path(shutil.copytree(tiny_repository, root / "model_repository"))
    encoder = write_text_encoder("clip", root / "encoder")
    write_actions_checkpoint(root / "actions", width=48, depth=1, heads=3, patch=56, labels=LABELS)
    motion = json.loads((repository / "weights.json").read_text())["motion"]
    config = HeadConfig("linear", "segments", motion, None, 16, 48, ("still", "pan"), multi_label=False)
    (root / "head").mkdir()
    save_head(KINDS["linear"](config.shape), config, root / "head")
    sources: dict[str, Any] = {"frames": str(encoder), "text": True, "actions": str(root / "actions")}
    sources["autoencoder"] = str(write_small(root / "autoencoder"))
    export_networks(None, None, repository, lambda _: None, target="cpu", heads={"moves": root / "head"}, **sources)
    leave_one_process_each(repository)  # twelve start in half the time of 25
    with running(Settings.on_free_ports(repository, precision="f32")) as started:
        yield started


def infer(
    server: Server, model: str, name: str, value: NDArray[np.uint8], *outputs: str, **parameters: object
) -> dict[str, NDArray[Any]]:
    tensor = grpc.InferInput(name, value.shape, "UINT8")
    tensor.set_data_from_numpy(value)
    requested = [grpc.InferRequestedOutput(output) for output in outputs]
    with grpc.InferenceServerClient(server.url) as client:
        answer = client.infer(model, [tensor], outputs=requested, parameters=parameters or None)
    return {output: answer.as_numpy(output) for output in outputs}


def test_every_optional_network_is_served(served: Server) -> None:
    repository = served.settings.model_repository
    rng = np.random.default_rng(0)
    for model, name, output, shape in (
        ("frame_encoder", "FRAME_CLIPS", "FRAME_EMBEDDINGS", (256, 32, 32, 3)),
        ("action_classifier", "ACTION_CLIPS", "ACTION_PROBABILITIES", (2, 16, 224, 224, 3)),
        ("frame_autoencoder", "FRAMES", "LATENTS", (16, 240, 240, 3)),
    ):
        value = rng.integers(0, 256, shape, dtype=np.uint8)
        session = onnxruntime.InferenceSession(repository / model / "1" / "model.onnx")
        (expected,) = session.run(None, {name: value})
        found = infer(served, model, name, value, output)[output]
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_video_signals_answers_as_video_motion_and_with_every_choice_of_outputs(served: Server) -> None:
    """A tensor that is an output and the input of a step would fail some choices with `unexpected deadlock`."""
    video = np.frombuffer(encode(100, rate=20), np.uint8)[None]
    motion = infer(served, "video_motion", "VIDEO", video, "MOTION_SCORES", "CAMERA_PROBABILITIES", "CLIP_SECONDS")
    added = {"SEGMENT_EMBEDDINGS", "ACTION_PROBABILITIES", "HEAD_MOVES", "FRAME_EMBEDDINGS", "FRAME_SECONDS"}
    both = infer(served, "video_signals", "VIDEO", video, *motion, *added)
    for name, expected in motion.items():
        np.testing.assert_array_equal(both[name], expected)
    segments, clips = both["SEGMENT_EMBEDDINGS"], both["ACTION_PROBABILITIES"]
    assert (segments.ndim, segments.shape[1]) == (2, 48)
    assert segments.std() > 0
    assert clips.shape == (len(motion["CLIP_SECONDS"]), len(LABELS))
    np.testing.assert_allclose(clips.sum(1), 1, atol=1e-5)
    with torch.inference_mode():
        expected = load_head(served.settings.model_repository.parent / "head")(torch.tensor(segments)).numpy()
    np.testing.assert_allclose(both["HEAD_MOVES"], expected, atol=1e-3)
    for chosen in (
        ["SEGMENT_EMBEDDINGS"],
        ["ACTION_PROBABILITIES"],
        ["MOTION_SCORES"],
        ["HEAD_MOVES"],
        ["HEAD_MOVES", "SEGMENT_EMBEDDINGS"],
        ["FRAME_EMBEDDINGS"],
        ["FRAME_SECONDS"],
    ):
        for name, found in infer(served, "video_signals", "VIDEO", video, *chosen).items():
            np.testing.assert_array_equal(found, both[name])


def encoded(video: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(video, np.uint8)[None]


def test_frame_embeddings_are_those_of_transformers(served: Server) -> None:
    """Its own image processor prepares the same decoded frames for its own model."""
    video = encode(100, rate=20, width=192, height=108)
    outputs = ("FRAME_EMBEDDINGS", "FRAME_SECONDS", "WEIGHTS")
    answer = infer(served, "video_signals", "VIDEO", encoded(video), *outputs, signals="frames", frames=7)
    indices = evenly_spread(0, 99, 7)
    decoded = decode_all(video)
    encoder = served.settings.model_repository.parent / "encoder"
    expected = embed_with_transformers(encoder, [decoded[index] for index in indices])
    assert answer["FRAME_EMBEDDINGS"].shape == expected.shape == (7, 24)
    assert np.abs(answer["FRAME_EMBEDDINGS"] - expected).max() < 1e-3 * np.abs(expected).max()
    np.testing.assert_allclose(answer["FRAME_SECONDS"], indices / 20, atol=1e-5)
    weights = json.loads(answer["WEIGHTS"][0])
    assert weights["frames"] == {"source": f"directory {encoder}", "architecture": "clip", "dimensions": 24}
    assert weights["actions"]["labels"] == list(LABELS)
    assert weights["heads"]["moves"]["encoder"] == weights["motion"]


def test_texts_and_frames_are_as_far_apart_as_in_transformers(served: Server) -> None:
    """50 sentences in four scripts, some longer than the encoder takes, and 20 frames."""
    encoder = served.settings.model_repository.parent / "encoder"
    video = encode(100, rate=20, width=192, height=108)
    with Client(served.url) as client:
        texts = [client.embed_text(sentence) for sentence in SENTENCES]
        frames = client.score(video, signals="frames", frames=20).frames
        assert client.weights().text == client.weights().frames == f"directory {encoder}"
    assert frames is not None
    found = np.stack([text.embedding for text in texts])
    expected = embed_text_with_transformers(encoder, SENTENCES)
    assert found.shape == expected.shape == (50, 24)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    decoded = decode_all(video)
    pictures = embed_with_transformers(encoder, [decoded[index] for index in evenly_spread(0, 99, 20)])
    np.testing.assert_allclose(frames.embeddings, pictures, atol=1e-3 * np.abs(pictures).max())
    ours, theirs = (cosines(*pair) for pair in ((found, frames.embeddings), (expected, pictures)))
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert theirs.std() > 1e-2  # or a wrong text would pass
    # English has a token for each byte, `the` has one alone, and 77 is the most.
    assert (texts[0].tokens, texts[0].tokens_cut) == (len("adogrunsonbeach") + 1 + 2, 0)
    assert all(text.tokens == 77 or not text.tokens_cut for text in texts)


def cosines(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    one, other = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (one, other))
    return one @ other.T


@pytest.mark.slow
def test_random_weights_of_the_published_size_answer_as_in_transformers(small_repository: Path, tmp_path: Path) -> None:
    repository = Path(shutil.copytree(small_repository, tmp_path / "model_repository"))
    export_networks(None, None, repository, lambda _: None, frames="random:3", text=True, target="cpu")
    encoder = tmp_path / "random"
    write_text_checkpoint(encoder, 3)
    video = encode(100, rate=20, width=192, height=108)
    with running(Settings.on_free_ports(repository, precision="f32")) as started, Client(started.url) as client:
        found = np.stack([client.embed_text(sentence).embedding for sentence in SENTENCES])
        frames = client.score(video, signals="frames", frames=20).frames
    assert frames is not None
    expected = embed_text_with_transformers(encoder, SENTENCES)
    assert found.shape == expected.shape == (50, 512)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    decoded = decode_all(video)
    pictures = embed_with_transformers(encoder, [decoded[index] for index in evenly_spread(0, 99, 20)])
    np.testing.assert_allclose(cosines(found, frames.embeddings), cosines(expected, pictures), atol=1e-3)


def test_a_text_that_is_too_long_is_cut_and_counted_by_both_clients(served: Server) -> None:
    async def ask() -> Any:
        async with AsyncClient(served.url) as client:
            return await asyncio.gather(client.embed_text("word " * 200), client.embed_text("word " * 300))

    one, other = asyncio.run(ask())
    assert (one.tokens, one.tokens_cut) == (77, 200 * 4 + 2 - 77)
    assert other.tokens_cut == 300 * 4 + 2 - 77
    with Client(served.url) as client:
        np.testing.assert_allclose(client.embed_text("word " * 20).embedding, one.embedding, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "TEXT is empty"),
        (b" \n", "TEXT is empty"),
        (b"caf\xe9", "TEXT is not UTF-8: unexpected end of data at byte 3"),
        (b"x" * 10_001, "TEXT has 10001 characters, it may have 10000"),
    ],
)
def test_a_text_that_cannot_be_embedded_has_a_sentence(text: bytes, sentence: str, served: Server) -> None:
    tensor = grpc.InferInput("TEXT", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([text], object))
    with grpc.InferenceServerClient(served.url) as client, pytest.raises(InferenceServerException) as raised:
        client.infer("text_embedding", [tensor])
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert raised.value.message().endswith(f"{sentence} [invalid_parameter]")
    if text == b"":
        with Client(served.url) as connected:
            with pytest.raises(InvalidRequest, match="TEXT is empty"):
                connected.embed_text("")
            assert connected.embed_text("the server goes on").tokens > 2


def test_action_probabilities_are_those_of_transformers(served: Server) -> None:
    video = encode(100, rate=20)
    outputs = ("ACTION_PROBABILITIES", "CLIP_SECONDS")
    answer = infer(served, "video_signals", "VIDEO", encoded(video), *outputs, signals="actions", clip_seconds=5)
    served.settings.model_repository.parent / "actions"
    model = transformers.VideoMAEForVideoClassification.from_pretrained(
        served.settings.model_repository.parent / "actions"
    )
    frames = decode_all(video)
    clip = torch.tensor(np.stack([crop(frames[index], 224) for index in evenly_spread(0, 99, 16)]))
    mean, std = (torch.tensor(value).reshape(3, 1, 1) for value in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        pixels = (clip.permute(0, 3, 1, 2) / 255 - mean) / std
        expected = model.eval()(pixels[None]).logits.softmax(1).numpy()
    assert answer["CLIP_SECONDS"].tolist() == [[0, 5]]
    np.testing.assert_allclose(answer["ACTION_PROBABILITIES"], expected, atol=1e-3)


def test_measures_are_those_of_the_decoder_and_only_where_they_are_named(served: Server) -> None:
    video = encode(100, rate=20)
    outputs = ("METRICS", "WEIGHTS", "DECODER", "VIDEO_INFO", "MOTION_SCORES")
    both = infer(served, "video_signals", "VIDEO", encoded(video), *outputs, signals="motion,metrics")
    alone = infer(served, "video_signals", "VIDEO", encoded(video), *outputs[:-1], signals="metrics")
    names = json.loads(alone["WEIGHTS"][0])["metrics"]
    decoder = IsolatedDecoder(Limits())
    with contextlib.closing(decoder):
        plan = decoder.plan(memoryview(video), {"signals": "metrics"}, served=(Signal.METRICS,))
        none, order = np.empty(0, np.int64), np.array(plan["metric_order"])
        indices = np.array(plan["frame_indices"])
        measures = decoder.decode(memoryview(video), indices, none, none, 224, metric_order=order).measures
    assert measures is not None
    assert names == [*NAMES, *LATENT_NAMES]
    np.testing.assert_array_equal(alone["METRICS"][:, : len(NAMES)], measures.row(NAMES))
    np.testing.assert_array_equal(both["METRICS"], alone["METRICS"])
    assert alone["METRICS"][0, 0] == 20
    for parameters in ({"signals": "motion"}, {}):
        answer = infer(served, "video_signals", "VIDEO", encoded(video), *outputs, **parameters)
        assert answer["METRICS"].shape == (0, len(names))
        np.testing.assert_array_equal(answer["MOTION_SCORES"], both["MOTION_SCORES"])


def check_latents(served: Server, latents_of: Callable[[NDArray[np.uint8]], NDArray[np.float32]]) -> None:
    """Of more frames than the autoencoder takes at once, of a part of the video, and of one frame."""
    video = encode(100, rate=20, width=192, height=108)
    frames, found = decode_all(video), []
    for chosen, start, end in ((frames[::5], None, None), (frames[20:60:5], 1.0, 3.0), (frames[99:], 4.95, None)):
        pictures = squares(chosen)
        with Client(served.url) as client:
            metrics = client.score(video, signals="metrics", start_seconds=start, end_seconds=end).metrics
        assert metrics is not None
        assert metrics.frames == len(pictures)
        if len(pictures) == 1:
            assert (metrics.latent_mse, metrics.latent_cosine) == (None, None)
            continue
        expected = latent_measures(latents_of(pictures))
        assert (metrics.latent_mse, metrics.latent_cosine) == pytest.approx(expected, rel=1e-3)
        found.append(expected)
    # The comparison sees other frames.
    assert found[0] != pytest.approx(found[1], rel=0.01)


def test_measures_of_latents_are_those_of_their_definition(served: Server) -> None:
    network = load_autoencoder(served.settings.model_repository.parent / "autoencoder").network

    def latents_of(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return network(torch.from_numpy(pictures)).numpy()

    check_latents(served, latents_of)


@pytest.mark.slow
def test_measures_of_latents_are_those_of_diffusers_own_encoder(served: Server) -> None:
    directory = served.settings.model_repository.parent / "autoencoder"
    check_latents(served, lambda pictures: latents_with_diffusers(directory, pictures))


def counts(server: Server) -> dict[str, int]:
    with grpc.InferenceServerClient(server.url) as client:
        statistics = client.get_inference_statistics().model_stats
    return {model.name: model.inference_stats.success.count for model in statistics}


@pytest.mark.parametrize(
    ("signals", "outputs", "networks"),
    [
        (
            "motion,camera,segments,frames,actions",
            ("MOTION_SCORES", "CAMERA_PROBABILITIES", "FRAME_EMBEDDINGS", "ACTION_PROBABILITIES", "HEAD_MOVES"),
            {"motion_backbone", "motion_head", "camera_classifier", "frame_encoder", "action_classifier", "head_moves"},
        ),
        ("motion", ("MOTION_SCORES",), {"motion_backbone", "motion_head"}),
        ("camera", ("CAMERA_PROBABILITIES",), {"camera_classifier"}),
        ("frames", ("FRAME_EMBEDDINGS",), {"frame_encoder"}),
        ("actions", ("ACTION_PROBABILITIES",), {"action_classifier"}),
        ("segments", ("SEGMENT_EMBEDDINGS",), {"motion_backbone", "embedding_copy"}),
        ("metrics", ("METRICS",), {"frame_autoencoder"}),
    ],
)
def test_one_upload_is_decoded_once_and_nothing_else_is_computed(
    signals: str, outputs: tuple[str, ...], networks: set[str], served: Server
) -> None:
    before = counts(served)
    infer(served, "video_signals", "VIDEO", encoded(encode(30)), *outputs, signals=signals)

    def ran() -> dict[str, int]:
        return {model: count - before[model] for model, count in counts(served).items() if count != before[model]}

    expected = dict.fromkeys({"video_sampling", "video_decode", "video_signals", *networks}, 1)
    # Triton counts a moment after it answers.
    wait_for(lambda: ran() == expected or sum(ran().values()) > sum(expected.values()))
    assert ran() == expected


@pytest.mark.parametrize(
    ("model", "outputs", "parameters", "sentence"),
    [
        (
            "video_motion",
            ("CAMERA_PROBABILITIES",),
            {"signals": "motion"},
            "a requested output needs a signal that signals does not name (camera): name it, or request only outputs "
            "of the signals that are named [invalid_parameter]",
        ),
        ("video_signals", ("FRAME_EMBEDDINGS",), {"signals": "motion"}, "signals does not name (frames)"),
        ("video_signals", ("ACTION_PROBABILITIES",), {"signals": "frames"}, "signals does not name (actions)"),
        ("video_signals", ("HEAD_MOVES",), {"signals": "camera"}, "signals does not name (motion or segments)"),
        (
            "video_motion",
            ("MOTION_SCORES",),
            {"signals": "frames"},
            "signals names 'frames', it must be names out of motion, camera, with commas between them [invalid_param",
        ),
        (
            "video_signals",
            ("MOTION_SCORES",),
            {"signals": "sound"},
            "out of motion, camera, segments, frames, actions,",
        ),
        (
            "video_signals",
            ("MOTION_SCORES",),
            {"frames": 257},
            "frames is 257, it must be a whole number from 1 to 256",
        ),
    ],
)
def test_what_cannot_be_answered_has_a_sentence(
    model: str, outputs: tuple[str, ...], parameters: dict[str, object], sentence: str, served: Server
) -> None:
    with pytest.raises(InferenceServerException) as raised:
        infer(served, model, "VIDEO", encoded(encode(30)), *outputs, **parameters)
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert sentence in raised.value.message()


def test_scores_alone_are_those_of_the_whole_answer(served: Server) -> None:
    video = encoded(encode(100, rate=20))
    whole = infer(served, "video_motion", "VIDEO", video, "MOTION_SCORES", "CAMERA_PROBABILITIES", "CLIP_SECONDS")
    motion = infer(served, "video_motion", "VIDEO", video, "MOTION_SCORES", "CLIP_SECONDS", signals="motion")
    camera = infer(served, "video_motion", "VIDEO", video, "CAMERA_PROBABILITIES", "CLIP_SECONDS", signals="camera")
    np.testing.assert_array_equal(motion["MOTION_SCORES"], whole["MOTION_SCORES"])
    np.testing.assert_array_equal(camera["CAMERA_PROBABILITIES"], whole["CAMERA_PROBABILITIES"])
    assert motion["CLIP_SECONDS"].shape == (0, 2)
    np.testing.assert_array_equal(camera["CLIP_SECONDS"], whole["CLIP_SECONDS"])


def test_the_client_asks_for_every_signal_with_one_upload(served: Server, tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(encode(100, rate=20))
    output = tmp_path / "scores.parquet"
    signals = ("motion", "camera", "segments", "frames", "actions", "metrics")
    with Client(served.url) as client:
        plain = client.score(video)
        score = client.score(video, signals=signals, frames=5)
        assert client.weights().signals == signals
        moves = client.score(video, signals=("motion",), heads=("moves",))
        fewer = client.score(video, signals=("frames",), frames=2)
    assert (score.motion, score.camera, score.info) == (plain.motion, plain.camera, plain.info)
    assert score.frames is not None
    assert score.segments is not None
    assert score.actions is not None
    assert score.heads is not None
    assert score.frames.embeddings.shape[0] == 5
    assert score.metrics is not None
    assert score.metrics.frames == 20
    indices = np.linspace(0, 99, 5, dtype=np.float32).astype(int)
    np.testing.assert_allclose(score.frames.seconds, indices / 20, atol=1e-6)
    assert fewer.frames is not None
    np.testing.assert_array_equal(fewer.frames.embeddings, score.frames.embeddings[[0, -1]])
    assert score.segments.shape[1] == 48
    spans = [(clip.start_seconds, clip.end_seconds) for clip in score.camera]
    assert [(clip.start_seconds, clip.end_seconds) for clip in score.actions.clips] == spans
    assert {action.label for action in score.actions.video} == {*LABELS}
    assert moves.heads == score.heads
    assert set(score.heads["moves"]) == {"still", "pan"}
    assert moves.camera is None
    command = [str(video), "--url", served.url, "--output", str(output), "--signals", ",".join(signals)]
    assert score_command.main([*command, "--frames", "5"]) == 0
    for on, expected in (("frames", score.frames.embeddings), ("segments", score.segments)):
        (row,) = read_rows(output, on, {str(video)})
        assert row.embeddings is not None
        np.testing.assert_array_equal(row.embeddings, expected)
        source = json.loads((served.settings.model_repository / "weights.json").read_text())
        assert row.encoder == (source["frames"]["source"] if on == "frames" else source["motion"])
