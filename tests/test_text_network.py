"""Text encoders: their tokens and their networks against transformers, and what an export does to a repository."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from google.protobuf import text_format
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tritonclient.grpc import model_config_pb2

from backends.text import MAX_CHARACTERS, InvalidText, TextTokens
from export import ExportError, SourceUnavailable
from export.__main__ import main
from export.configs import model_files
from export.exporter import Exporter
from export.frame_network import load_frames
from export.graph import write_graph
from export.networks import export_networks
from export.random_networks import write_frames_checkpoint
from export.source import open_source
from export.text_network import load_text
from fixtures.encoders import (
    SENTENCES,
    embed_text_with_transformers,
    tokens_of_transformers,
    write_encoder,
    write_text_encoder,
)
from server.load import optional_networks
from server.preflight import problems
from tests.configs import full_shapes
from tests.conftest import MODEL_REPOSITORY
from video.weights import described

KINDS = ("clip", "siglip", "random")
SPECIAL = ["<|endoftext|> a dog <|endoftext|>", "  Two   SPACES and CAPITALS ", "e\u0301 \u00e9 🙂", "a", "word " * 100]


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small checkpoints with a text half."""
    root = tmp_path_factory.mktemp("texts")
    write_frames_checkpoint(root / "random", seed=1, width=24, depth=1, heads=2, outputs=8, text_width=64)
    return {kind: write_text_encoder(kind, root / kind) for kind in ("clip", "siglip")} | {"random": root / "random"}


@pytest.fixture(scope="module")
def exported(tiny_repository: Path, encoders: dict[str, Path], tmp_path_factory: Any) -> Path:
    """The tiny repository with an image encoder and its text encoder, for GPUs, too."""
    repository = Path(shutil.copytree(tiny_repository, tmp_path_factory.mktemp("text") / "model_repository"))
    with pytest.MonkeyPatch.context() as patch:
        # Its graphs take seconds, and have tests of their own.
        patch.setattr("export.optional.Frames.write", lambda *_: None)
        export_networks(None, None, repository, lambda _: None, frames=str(encoders["clip"]), text=True)
    (repository / "frame_encoder" / "1").mkdir(parents=True)
    return repository


@pytest.fixture
def without_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports that write small files instead of graphs."""

    def write(self: Exporter, network: object, model: str, *_: object, **__: object) -> None:
        self._transaction.stage_text(f"{model}/1/model.onnx", type(network).__name__)

    monkeypatch.setattr(Exporter, "write", write)


def tokens_of(directory: Path) -> TextTokens:
    loaded = load_text(directory)
    return TextTokens(directory / "tokenizer.json", loaded.max_tokens, loaded.padding)


def run(path: Path, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["TEXT_EMBEDS"], {"TOKEN_IDS": ids})[0]


def copy_with(directory: Path, target: Path, **changes: Any) -> Path:
    shutil.copytree(directory, target)
    for name, change in changes.items():
        path = target / f"{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    return target


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_those_of_transformers(kind: str, encoders: dict[str, Path]) -> None:
    tokens = tokens_of(encoders[kind])
    texts = [*SENTENCES, *SPECIAL]
    found = [tokens.of(text.encode()).ids[0].tolist() for text in texts]
    assert found == tokens_of_transformers(encoders[kind], texts)
    assert len({tuple(ids) for ids in found}) == len(texts)


def test_a_long_text_is_cut_and_its_tokens_are_counted(encoders: dict[str, Path]) -> None:
    tokens = tokens_of(encoders["siglip"])
    short, long = tokens.of(b"ab"), tokens.of(b"a" * 100)
    assert (short.ids.shape, short.used, short.whole) == ((1, 64), 3, 3)
    assert short.ids[0, 3:].tolist() == [0] * 61  # padding
    assert (long.ids.shape, long.used, long.whole) == ((1, 64), 64, 101)
    assert long.ids[0, -1] == 1  # the end token stays
    with pytest.raises(InvalidText, match="TEXT is empty"):
        tokens.of(b"\t ")
    with pytest.raises(InvalidText, match=f"it may have {MAX_CHARACTERS}"):
        tokens.of(b"a" * (MAX_CHARACTERS + 1))
    with pytest.raises(InvalidText, match="TEXT is not UTF-8: invalid start byte at byte 1"):
        tokens.of(b"a\xff")


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_encoder_answers_as_transformers_does(kind: str, encoders: dict[str, Path]) -> None:
    texts = [*SENTENCES[::5], *SPECIAL]
    tokens, network = tokens_of(encoders[kind]), load_text(encoders[kind]).network
    with torch.inference_mode():
        found = torch.cat([network(torch.from_numpy(tokens.of(text.encode()).ids)) for text in texts]).numpy()
    expected = embed_text_with_transformers(encoders[kind], texts)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(expected - expected[0]).max() > 0.1


def test_older_configurations_of_clip_name_another_end_token(encoders: dict[str, Path], tmp_path: Path) -> None:
    """The published ones: the token with the highest number ends a text then, in transformers, too."""
    config = json.loads((encoders["clip"] / "config.json").read_text())
    older = copy_with(
        encoders["clip"], tmp_path / "older", config={"text_config": config["text_config"] | {"eos_token_id": 2}}
    )
    tokens, network = tokens_of(older), load_text(older).network
    with torch.inference_mode():
        found = torch.cat([network(torch.from_numpy(tokens.of(text.encode()).ids)) for text in SPECIAL]).numpy()
    np.testing.assert_allclose(found, embed_text_with_transformers(older, SPECIAL), atol=1e-5)


@pytest.mark.slow
def test_the_graphs_take_texts_of_every_length_and_answer_as_transformers_does(
    exported: Path, encoders: dict[str, Path]
) -> None:
    directory = exported / "text_encoder" / "1"
    tokens = tokens_of(encoders["clip"])
    texts = ["a", SENTENCES[0], SENTENCES[20], "word " * 100]
    expected = embed_text_with_transformers(encoders["clip"], texts)
    lengths = set()
    for text, row in zip(texts, expected, strict=True):
        ids = tokens.of(text.encode()).ids
        lengths.add(ids.shape[1])
        np.testing.assert_allclose(run(directory / "model.onnx", ids), row[None], atol=1e-4)
        np.testing.assert_allclose(run(directory / "model.onnx", np.repeat(ids, 3, 0)), np.stack([row] * 3), atol=1e-4)
        half = run(directory / "model_fp16.onnx", ids)
        assert np.abs(half - row).max() < 0.02 * np.abs(row).max()
        assert np.abs(half - row).max() > 1e-6  # as small if it were float32
    assert min(lengths) == 3
    assert max(lengths) == 77
    weights = [tensor for tensor in onnx.load(directory / "model_fp16.onnx").graph.initializer if len(tensor.dims) > 1]
    assert sum(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in weights) > len(weights) / 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["siglip", "random"])
def test_the_graphs_of_other_text_encoders(kind: str, encoders: dict[str, Path], tmp_path: Path) -> None:
    loaded, tokens = load_text(encoders[kind]), tokens_of(encoders[kind])
    example = torch.randint(0, 200, (3, 7))
    names: dict[str, Any] = {"input_name": "TOKEN_IDS", "output_names": ["TEXT_EMBEDS"]}
    write_graph(loaded.network, example, tmp_path / "m.onnx", lengths=(2, loaded.max_tokens), **names)
    found = np.concatenate([run(tmp_path / "m.onnx", tokens.of(text.encode()).ids) for text in SENTENCES])
    np.testing.assert_allclose(found, embed_text_with_transformers(encoders[kind], SENTENCES), atol=1e-4)


@pytest.mark.slow
def test_the_repository_gets_two_models_and_says_so(
    exported: Path, encoders: dict[str, Path], tiny_repository: Path
) -> None:
    files = {str(path.relative_to(exported)) for path in exported.rglob("*") if path.is_file()}
    before = {str(path.relative_to(tiny_repository)) for path in tiny_repository.rglob("*") if path.is_file()}
    assert {name for name in files - before if name.startswith("text_")} == {
        *(
            f"text_encoder/{name}"
            for name in ("config.pbtxt", "configs/cpu.pbtxt", "1/model.onnx", "1/model_fp16.onnx")
        ),
        *(f"text_embedding/{name}" for name in ("config.pbtxt", "1/model.py", "1/tokenizer.json")),
    }
    manifest = json.loads((exported / "weights.json").read_text())
    source = f"directory {encoders['clip']}"
    facts = {"source": source, "architecture": "clip", "dimensions": 24, "max_tokens": 77}
    assert manifest["text"] == {"model": "text_encoder"} | facts
    assert manifest["frames"]["source"] == source
    assert described(manifest)["text"] == facts
    assert optional_networks(manifest) == ["frame_encoder", "text_encoder", "text_embedding"]
    tokenizer = exported / "text_embedding" / "1" / "tokenizer.json"
    assert tokenizer.read_bytes() == (encoders["clip"] / "tokenizer.json").read_bytes()


@pytest.mark.slow
def test_git_ignores_what_is_written(exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "model_repository")
    shutil.copy(MODEL_REPOSITORY.parent / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    command = ["git", "-C", str(tmp_path), "ls-files", "--others", "--exclude-standard"]
    seen = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "model_repository/video_motion/config.pbtxt" in seen
    assert [name for name in seen if "text_e" in name] == []


@pytest.mark.usefixtures("without_graphs")
@pytest.mark.slow
def test_image_and_text_encoder_come_and_go_together(exported: Path, encoders: dict[str, Path], tmp_path: Path) -> None:
    repository = Path(shutil.copytree(exported, tmp_path / "model_repository"))
    with pytest.raises(ExportError, match=r"the text encoder is that of .*clip, the image encoder is .*siglip: export"):
        export_networks(None, None, repository, lambda _: None, frames=str(encoders["siglip"]), target="cpu")
    with pytest.raises(ExportError, match="the image encoder is none: export both together"):
        export_networks(None, None, repository, lambda _: None, remove=["frames"])
    with pytest.raises(ExportError, match="give --frames SOURCE --text"):
        export_networks(None, None, repository, lambda _: None, text=True)
    assert json.loads((repository / "weights.json").read_text())["text"]["architecture"] == "clip"
    export_networks(None, None, repository, lambda _: None, frames=str(encoders["siglip"]), text=True, target="cpu")
    manifest = json.loads((repository / "weights.json").read_text())
    assert (manifest["text"]["architecture"], manifest["text"]["max_tokens"]) == ("siglip", 64)
    assert 'key: "PADDING" value { string_value: "0" }' in (repository / "text_embedding" / "config.pbtxt").read_text()
    lines: list[str] = []
    export_networks(None, None, repository, lines.append, remove=["text"])
    assert lines[:2] == ["text_encoder: removed", "text_embedding: removed"]
    assert not list(repository.glob("text_*"))
    manifest = json.loads((repository / "weights.json").read_text())
    assert "text" not in manifest
    assert "frames" in manifest


def test_a_text_model_that_is_not_named_is_refused(
    tiny_repository: Path, encoders: dict[str, Path], tmp_path: Path
) -> None:
    repository = Path(shutil.copytree(tiny_repository, tmp_path / "model_repository"))
    (repository / "text_embedding").mkdir()
    with pytest.raises(ExportError, match=r"has text_embedding, which weights\.json does not name"):
        export_networks(None, None, repository, lambda _: None, frames=str(encoders["clip"]))


def test_the_vision_half_of_random_weights_is_the_same_with_a_text_half(
    encoders: dict[str, Path], tmp_path: Path
) -> None:
    write_frames_checkpoint(tmp_path / "alone", seed=1, width=24, depth=1, heads=2, outputs=8)
    alone, whole = (load_frames(path).network.state_dict() for path in (tmp_path / "alone", encoders["random"]))
    assert alone.keys() == whole.keys()
    assert all(torch.equal(alone[name], whole[name]) for name in alone)


def test_checkpoints_without_a_usable_text_half_are_refused(encoders: dict[str, Path], tmp_path: Path) -> None:
    vision = write_encoder("clip_vision_model", tmp_path / "vision")
    with pytest.raises(ExportError, match="model_type is 'clip_vision_model', and only those of clip and siglip have"):
        load_text(vision)
    with pytest.raises(SourceUnavailable, match=r"has no tokenizer\.json"), open_source(str(vision), "text"):
        pass
    clip = encoders["clip"]
    broken = Path(shutil.copytree(clip, tmp_path / "broken"))
    (broken / "tokenizer.json").write_text('{"model": {"type": "shout"}}')
    with pytest.raises(SourceUnavailable, match=r"text checkpoint: tokenizers cannot read tokenizer\.json: "):
        load_text(broken)
    tensors = load_file(clip / "model.safetensors")
    without = Path(shutil.copytree(clip, tmp_path / "without"))
    del tensors["text_projection.weight"]
    save_file(tensors, without / "model.safetensors", {"format": "pt"})
    with pytest.raises(ExportError, match=r"text checkpoint: tensor text_projection\.weight is missing"):
        load_text(without)
    other = Path(shutil.copytree(encoders["random"], tmp_path / "other"))
    shutil.copy(clip / "tokenizer.json", other)
    with pytest.raises(ExportError, match=r"tokenizer\.json has tokens up to 516, config\.json says vocab_size 514"):
        load_text(other)
    nameless = copy_with(encoders["siglip"], tmp_path / "nameless", tokenizer_config={"pad_token": "<nothing>"})
    with pytest.raises(ExportError, match=r'pad_token "<nothing>", which is no token of tokenizer\.json'):
        load_text(nameless)


def test_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr("export.networks.export_networks", lambda *_, **options: calls.append(options))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main(["--frames", "--text"]) == 0
    assert main(["--frames", "x"]) == 0
    assert [call["text"] for call in calls] == [True, False]
    with pytest.raises(SystemExit) as raised:
        main(["--text"])
    assert raised.value.code == 2
    assert "--text is the text encoder of an image encoder: give --frames [SOURCE], too" in capsys.readouterr().err


def test_both_models_have_configurations_that_triton_reads() -> None:
    files = model_files("text_encoder", dimensions=512)
    gpu, cpu = (
        text_format.Parse(files[name], model_config_pb2.ModelConfig()) for name in ("config.pbtxt", "configs/cpu.pbtxt")
    )
    int64, fp32 = model_config_pb2.TYPE_INT64, model_config_pb2.TYPE_FP32
    assert full_shapes(gpu) == full_shapes(cpu) == {"TOKEN_IDS": (int64, [-1, -1]), "TEXT_EMBEDS": (fp32, [-1, 512])}
    assert (gpu.backend, gpu.default_model_filename) == ("onnxruntime", "model_fp16.onnx")
    assert (cpu.backend, cpu.default_model_filename) == ("openvino", "model.onnx")
    text = model_files("text_embedding", dimensions=512, max_tokens=77, padding="")["config.pbtxt"]
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    assert full_shapes(config) == {
        "TEXT": (model_config_pb2.TYPE_STRING, [1]),
        "TEXT_EMBEDDING": (fp32, [1, 512]),
        "TEXT_TOKENS": (model_config_pb2.TYPE_INT32, [1, 2]),
    }


@pytest.mark.parametrize(
    ("missing", "profile", "precision", "sentence"),
    [
        (None, "cpu", "int8", None),  # it has no 8-bit form
        ("text_encoder/1/model.onnx", "cpu", "auto", "has no text_encoder, which weights.json names"),
        ("text_embedding/1/tokenizer.json", "cpu", "auto", "has no text_embedding, which weights.json names"),
        ("text_encoder/1/model_fp16.onnx", "gpu", "auto", "text_encoder has no fp16 network for the GPU"),
    ],
)
def test_a_server_is_not_started_with_half_of_a_text_encoder(
    missing: str | None, profile: str, precision: str, sentence: str | None, tmp_path: Path
) -> None:
    networks = ("motion_backbone", "motion_head", "camera_classifier", "frame_encoder", "text_encoder")
    forms = ("model.onnx", "model_fp16.onnx")
    names = [f"{model}/1/{form}" for model in networks for form in forms]
    names += [f"{model}/1/model_int8.xml" for model in networks if model != "text_encoder"]
    for name in [*names, "video_motion/config.pbtxt", "text_embedding/1/tokenizer.json"]:
        if name != missing:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
    if missing == "text_encoder/1/model.onnx":
        (tmp_path / "text_encoder" / "1" / "model_fp16.onnx").unlink()
    manifest = {"frames": {"model": "frame_encoder"}, "text": {"model": "text_encoder"}, "motion": "m", "camera": "c"}
    (tmp_path / "weights.json").write_text(json.dumps(manifest))
    found = [each for each in problems(tmp_path, "127.0.0.1", {}, profile, precision) if "/dev/shm" not in each]
    assert len(found) == (sentence is not None)
    assert sentence is None or sentence in found[0]
