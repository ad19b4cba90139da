"""Heads: kinds, mixup, the loop, figures, pictures, directories and the command."""

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from torch import Tensor
from torch.nn import functional

from export.errors import ExportError
from export.head_network import refuse_other_encoder, write_head
from fixtures.embeddings import ENCODER, write_embeddings
from training.heads import __main__ as command
from training.heads import fitting, training_run
from training.heads.batches import Batch, Videos, mix
from training.heads.comparison import compare
from training.heads.errors import HeadError
from training.heads.examples import Examples
from training.heads.fitting import Recipe, fit
from training.heads.kinds import KINDS, HeadKind, Shape, probabilities_of
from training.heads.kinds.random_frame import RandomFrame
from training.heads.metrics import confusion, decided, f1_of_labels, figures
from training.heads.pictures import draw_confusion, draw_found
from training.heads.saved import HeadConfig, SavedHead, load_head, save_head, whole_directory
from training.heads.split import split
from training.heads.training_run import predict, train

WIDTH = 16


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Several threads only wait for each other on tensors this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def silent(line: str) -> None:
    """A report that nobody reads."""


def made(
    count: int = 90, *, labels: int = 3, frames: int = 6, noise: float = 0.3, multi_label: bool = False
) -> Examples:
    """Videos whose label is the direction of their frames, of which some videos have fewer."""
    rng = np.random.default_rng(0)
    directions = np.eye(labels, WIDTH)
    targets = np.arange(labels) == (np.arange(count) % labels)[:, None]
    if multi_label:
        targets |= rng.random(targets.shape) < 0.3
    matrices = [
        (target @ directions + noise * rng.standard_normal((frames - index % 3, WIDTH)) + 5).astype(np.float32)
        for index, target in enumerate(targets)
    ]
    names = tuple(f"v/{index:03}.mp4" for index in range(count))
    called = tuple("abcdefgh"[:labels])
    return Examples(names, tuple(matrices), targets, called, "frames", ENCODER, multi_label)


def in_order(count: int) -> Examples:
    """Videos of two labels with the same frames, in opposite orders."""
    rng = np.random.default_rng(1)
    forwards = np.linspace(-1, 1, 8)[:, None] * rng.standard_normal(WIDTH)
    targets = np.arange(2) == (np.arange(count) % 2)[:, None]
    matrices = [
        ((forwards if target[0] else -forwards) + 0.2 * rng.standard_normal((8, WIDTH))).astype(np.float32)
        for target in targets
    ]
    return Examples(
        tuple(f"{index}.mp4" for index in range(count)),
        tuple(matrices),
        targets,
        ("up", "down"),
        "frames",
        ENCODER,
        False,
    )


def new_head(kind: str, *, labels: int = 3, multi_label: bool = False) -> HeadKind:
    torch.manual_seed(0)
    head = KINDS[kind](Shape(WIDTH, labels, multi_label))
    head.standardise(torch.full((WIDTH,), 0.5), torch.full((WIDTH,), 2.0))
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return head.eval()


def probabilities(head: HeadKind, frames: Tensor) -> Tensor:
    with torch.no_grad():
        return probabilities_of(head(frames[None]), multi_label=head.shape.multi_label)[0]


FRAMES = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(1)) * 2 + 0.5


@pytest.mark.parametrize("multi_label", [False, True], ids=["one label", "several labels"])
@pytest.mark.parametrize("kind", KINDS)
def test_frames_that_a_video_does_not_have_change_nothing(kind: str, multi_label: bool) -> None:
    head = new_head(kind, multi_label=multi_label)
    padded = torch.full((2, 7, WIDTH), 100.0)
    padded[0, :5], padded[1, :3] = FRAMES, FRAMES[:3]
    mask = torch.arange(7) < torch.tensor([[5], [3]])
    with torch.no_grad():
        found = probabilities_of(head(padded, mask), multi_label=multi_label)
    assert found[0] == pytest.approx(probabilities(head, FRAMES), abs=1e-5)
    assert found[1] == pytest.approx(probabilities(head, FRAMES[:3]), abs=1e-5)
    assert not torch.allclose(found[0], found[1], atol=1e-3)
    if not multi_label:
        assert found.sum(1) == pytest.approx(torch.ones(2), abs=1e-5)


@pytest.mark.parametrize("multi_label", [False, True])
def test_kinds_compute_what_their_names_say(multi_label: bool) -> None:
    seen = (FRAMES - 0.5) / 2

    def after(head: HeadKind, x: Tensor) -> Tensor:
        assert isinstance(head.output, torch.nn.Linear)
        logits = functional.linear(x, head.output.weight, head.output.bias).detach()
        return logits.sigmoid() if multi_label else logits.softmax(-1)

    linear, average, one = (
        new_head(name, multi_label=multi_label) for name in ("linear", "frame_average", "random_frame")
    )
    assert probabilities(linear, FRAMES) == pytest.approx(after(linear, seen.mean(0)), abs=1e-5)
    assert probabilities(average, FRAMES) == pytest.approx(after(average, seen).mean(0), abs=1e-5)
    assert probabilities(one, FRAMES) == pytest.approx(after(one, seen[2]), abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_transformer_and_the_lstm_see_the_order_of_frames(kind: str) -> None:
    head = new_head(kind)
    other_order = FRAMES[[4, 3, 2, 1, 0]]
    same = torch.allclose(probabilities(head, FRAMES), probabilities(head, other_order), atol=1e-4)
    assert same == (kind not in ("transformer", "lstm"))


def test_the_random_frame_is_that_of_the_names_hash() -> None:
    for frames in (1, 7, 100):
        number = int(hashlib.sha256(b"v/\xc3\xa4.mp4").hexdigest(), 16) % frames
        assert RandomFrame.chosen("v/ä.mp4", frames) == slice(number, number + 1)
    examples = made(12)
    batch = Videos(examples, RandomFrame, np.zeros(WIDTH, np.float32)).batch(np.arange(12))
    assert batch.embeddings.shape == (12, 1, WIDTH)
    for video, matrix, frame in zip(examples.videos, examples.embeddings, batch.embeddings, strict=True):
        number = int(hashlib.sha256(video.encode()).hexdigest(), 16) % len(matrix)
        assert (frame[0].numpy() == matrix[number]).all()


def test_a_value_that_hardly_varies_is_not_magnified() -> None:
    head = new_head("linear")
    deviation = torch.ones(WIDTH)
    deviation[3] = 0
    head.standardise(torch.zeros(WIDTH), deviation)
    assert head.scale[0] == 1
    assert 1 < head.scale[3] < 200


def test_mixing_adds_shares_of_embeddings_and_targets_and_joins_masks() -> None:
    one = Batch(torch.full((1, 3, 2), 4.0), torch.tensor([[True, True, True]]), torch.tensor([[1.0, 0.0]]))
    other = Batch(torch.full((1, 3, 2), 8.0), torch.tensor([[True, False, False]]), torch.tensor([[0.0, 1.0]]))
    mixed = mix(one, other, 0.75)
    assert mixed.embeddings.unique().tolist() == [5.0]
    assert mixed.mask.tolist() == [[True, True, True]]
    assert mixed.targets.tolist() == [[0.75, 0.25]]


def test_mixup_mixes_two_shuffled_passes() -> None:
    examples = made(64, labels=8, noise=0)
    videos = Videos(examples, KINDS["linear"], np.full(WIDTH, 5, np.float32))
    passes = [list(videos.mixed(np.random.default_rng(seed), 16, 0.4)) for seed in (0, 1)]
    shares: set[float] = set()
    for batches in passes:
        assert len(batches) == 4
        for batch in batches:
            assert batch.targets.sum(1) == pytest.approx(torch.ones(16))
            # Without noise, the first frame tells what was mixed.
            assert (batch.embeddings[:, 0, :8] - 5) == pytest.approx(batch.targets, abs=1e-5)
            shares.update(round(share, 3) for share in batch.targets.unique().tolist())
    assert len(shares) > 8  # another one for each batch
    # Each pass has every video once, so the labels of both add up to those of all.
    assert sum(batch.targets.sum() for batch in passes[0]) == pytest.approx(64)


def fitted(
    folder: Path, recipe: Recipe, examples: Examples | None = None, report: Callable[[str], None] = silent
) -> tuple[HeadKind, fitting.Progress]:
    examples = examples or made()
    parts = split(examples.targets, 0.2, 0)
    taken = [examples.take(each) for each in (parts.training, parts.validation)]
    return fit(taken[0], taken[1], recipe, folder / "x.training", examples.fingerprint, report)


class Killed(BaseException):
    """Ends a training as a kill does."""


def kill_at(epoch: int) -> Callable[[str], None]:
    def report(line: str) -> None:
        if line.startswith(f"epoch {epoch} "):
            raise Killed

    return report


@pytest.mark.parametrize(("kind", "mixup"), [("transformer", 0.2), ("lstm", None)])
def test_a_training_that_is_killed_goes_on_to_the_same_result(kind: str, mixup: float | None, tmp_path: Path) -> None:
    recipe = Recipe(kind, mixup, epochs=4)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole, progress = fitted(tmp_path / "whole", recipe)
    for epoch in (1, 3):
        with pytest.raises(Killed):
            fitted(tmp_path / "killed", recipe, report=kill_at(epoch))
        torch.rand(7)  # another process draws other numbers
    lines: list[str] = []
    resumed, again = fitted(tmp_path / "killed", recipe, report=lines.append)
    assert lines[0] == f"going on after epoch 3, from {tmp_path / 'killed' / 'x.training'}"
    assert len(lines) == 2
    assert again.history == progress.history
    assert len(again.history) == 4
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_training_that_is_killed_while_it_saves_keeps_the_epoch_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Killed):
        fitted(tmp_path, Recipe("linear", epochs=3), report=kill_at(1))
    save = torch.save

    def half(state: object, path: Path) -> None:
        save(state, path)
        path.write_bytes(path.read_bytes()[:100])
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", half)
        with pytest.raises(Killed):
            fitted(tmp_path, Recipe("linear", epochs=3))
    lines: list[str] = []
    fitted(tmp_path, Recipe("linear", epochs=3), report=lines.append)
    assert lines[0].startswith("going on after epoch 1,")


@pytest.mark.parametrize(
    ("recipe", "examples", "sentence"),
    [
        (
            Recipe("linear", epochs=2, seed=1),
            None,
            r"x.training is of a training with seed 0, not 1: remove .*x.training",
        ),
        (Recipe("linear", 0.2, epochs=2), None, r"is of a training with mixup None, not 0.2: "),
        (Recipe("linear", epochs=2), made(60), r"is of a training with other videos, labels or embeddings: "),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(
    recipe: Recipe, examples: Examples | None, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        fitted(tmp_path, Recipe("linear", epochs=2), report=kill_at(1))
    with pytest.raises(HeadError, match=sentence):
        fitted(tmp_path, recipe, examples)


@pytest.mark.parametrize("content", [b"", b"half", b"PK\x03\x04"])
def test_a_damaged_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.training").write_bytes(content)
    with pytest.raises(HeadError, match=r"x.training is damaged: remove .*x.training to start again"):
        fitted(tmp_path, Recipe("linear"))


def test_training_stops_when_validation_gets_no_better_and_keeps_the_best(tmp_path: Path) -> None:
    examples = made()
    shuffled = np.random.default_rng(0).permutation(examples.targets)
    noise = Examples(examples.videos, examples.embeddings, shuffled, examples.labels, "frames", ENCODER, False)
    lines: list[str] = []
    recipe = Recipe("transformer", epochs=40, patience=2, learning_rate=1e-2)
    head, progress = fitted(tmp_path, recipe, noise, lines.append)
    losses = [epoch.validation_loss or 0 for epoch in progress.history]
    assert len(losses) < 40
    assert progress.best_epoch == int(np.argmin(losses)) + 1 == len(losses) - 2
    assert lines[-1] == "stopped: no lower validation loss in 2 epochs"
    parts = split(shuffled, 0.2, 0)
    found = torch.from_numpy(predict(head, noise.take(parts.validation)))
    targets = torch.from_numpy(shuffled[parts.validation].astype(np.float32))
    assert float(-(targets * found.log()).sum(1).mean()) == pytest.approx(min(losses), rel=1e-4)


def test_without_patience_or_validation_all_epochs_count(tmp_path: Path) -> None:
    _, progress = fitted(tmp_path, Recipe("linear", epochs=5, patience=0, learning_rate=1.0))
    assert len(progress.history) == 5
    few = made(6)
    (tmp_path / "few").mkdir()
    _, progress = fitted(tmp_path / "few", Recipe("linear", epochs=5, patience=1), few)
    assert (len(progress.history), progress.best_epoch) == (5, 5)
    assert progress.history[0].validation_loss is None


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functional, "cross_entropy", lambda logits, _: logits.sum() * torch.nan)
    with pytest.raises(HeadError, match="the loss is not finite in epoch 1: lower the learning rate"):
        fitted(tmp_path, Recipe("linear"))


@pytest.mark.parametrize(("mixup", "multi_label"), [(None, True), (0.2, False)])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns(kind: str, mixup: float | None, multi_label: bool, tmp_path: Path) -> None:
    examples = made(150, multi_label=multi_label)
    parts = split(examples.targets, 0.2, 0)
    recipe = Recipe(kind, mixup, epochs=12, learning_rate=1e-2)
    head, _ = fitted(tmp_path, recipe, examples)
    test = examples.take(parts.test)
    found = decided(predict(head, test), multi_label=multi_label)
    assert figures(test.targets, found, 0, 10)["f1_micro"].value > (0.7 if kind == "random_frame" else 0.85)


@pytest.mark.parametrize("kind", ["transformer", "lstm", "linear", "frame_average"])
def test_only_kinds_that_see_the_order_tell_orders_apart(kind: str, tmp_path: Path) -> None:
    examples = in_order(120)
    head, _ = fitted(tmp_path, Recipe(kind, epochs=8, learning_rate=1e-2, patience=0), examples)
    test = examples.take(split(examples.targets, 0.2, 0).test)
    right = (decided(predict(head, test), multi_label=False) == test.targets).all(1).mean()
    assert (right > 0.9) == (kind in ("transformer", "lstm"))


@pytest.mark.parametrize("multi_label", [False, True])
def test_figures_are_those_of_scikit_learn(multi_label: bool) -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((300, 4))
    targets = decided(scores, multi_label=multi_label)
    found = decided(scores + 0.3 * rng.standard_normal(scores.shape), multi_label=multi_label)
    truth, given = (each if multi_label else each.argmax(1) for each in (targets, found))
    computed = figures(targets, found, seed=0)
    assert computed["accuracy"].value == pytest.approx(accuracy_score(truth, given))
    assert computed["f1_micro"].value == pytest.approx(f1_score(truth, given, average="micro"))
    assert computed["f1_macro"].value == pytest.approx(f1_score(truth, given, average="macro"))
    assert f1_of_labels(targets, found) == pytest.approx(f1_score(truth, given, average=None))
    if not multi_label:
        assert (confusion(targets, found) == confusion_matrix(truth, given)).all()
    for figure in computed.values():
        assert figure.low < figure.value < figure.high


def test_the_interval_of_an_accuracy_is_that_of_a_share() -> None:
    targets = np.eye(2, dtype=bool)[np.arange(400) % 2]
    found = targets.copy()
    found[:80] = ~found[:80]
    figure = figures(targets, found, seed=0)["accuracy"]
    half = 1.96 * np.sqrt(0.8 * 0.2 / 400)
    assert (figure.value - figure.low, figure.high - figure.value) == pytest.approx((half, half), rel=0.15)
    assert figures(targets, found, seed=0)["accuracy"] == figure
    assert figures(targets, targets, seed=0)["accuracy"] == training_run.Figure(1, 1, 1)


def test_a_label_without_test_videos_does_not_count_in_macro_f1() -> None:
    targets = np.array([[1, 0, 0], [0, 1, 0]], bool)
    assert figures(targets, targets, 0, 10)["f1_macro"].value == 1
    assert np.isnan(f1_of_labels(targets, targets)[2])


def trained(folder: Path, recipe: Recipe | None = None, examples: Examples | None = None) -> Path:
    examples = examples or made()
    recipe = recipe or Recipe("linear", epochs=3, learning_rate=1e-2)
    train(examples, split(examples.targets, 0.2, 0), recipe, folder / "heads" / "mine", silent)
    return folder / "heads" / "mine"


@pytest.fixture(scope="module")
def whole_head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a head, for tests that change a copy."""
    return trained(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_directory_has_the_head_its_figures_and_its_pictures(multi_label: bool, tmp_path: Path) -> None:
    examples = made(multi_label=multi_label)
    directory = trained(tmp_path, examples=examples)
    assert sorted(path.name for path in directory.parent.iterdir()) == ["mine"]
    assert sorted(path.name for path in directory.iterdir()) == [
        "config.json", "confusion_matrix.png", "learning_curves.png", "metrics.json", "model.safetensors",
        "test_videos.csv",
    ]  # fmt: skip
    assert json.loads((directory / "config.json").read_text()) == {
        "kind": "linear",
        "on": "frames",
        "encoder": "someone/encoder",
        "revision": "0123abc",
        "frames": 6,
        "width": WIDTH,
        "labels": ["a", "b", "c"],
        "multi_label": multi_label,
    }
    metrics = json.loads((directory / "metrics.json").read_text())
    for name in ("accuracy", "f1_micro", "f1_macro"):
        assert metrics[name].keys() == {"value", "low", "high"}
        assert 0 <= metrics[name]["low"] <= metrics[name]["value"] <= metrics[name]["high"] <= 1
    assert sum(metrics["videos"].values()) == 90
    assert metrics["labels"]["a"]["videos"] == examples.targets[:, 0].sum()
    assert len(metrics["history"]) == metrics["epochs"] == 3

    head = load_head(directory)
    with (directory / "test_videos.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == metrics["videos"]["test"]
    right = 0
    for row in rows:
        index = examples.videos.index(row["video"])
        with torch.no_grad():
            (found,) = head(torch.from_numpy(examples.embeddings[index])).numpy()
        assert [float(row[f"p({label})"]) for label in "abc"] == pytest.approx(found, abs=1e-5)
        chosen = decided(found[None], multi_label=multi_label)[0]
        assert row["given"] == ";".join(np.array(list("abc"))[chosen])
        assert row["label"] == ";".join(np.array(list("abc"))[examples.targets[index]])
        right += row["given"] == row["label"]
    assert right / len(rows) == pytest.approx(metrics["accuracy"]["value"])
    for name in ("confusion_matrix.png", "learning_curves.png"):
        with Image.open(directory / name) as picture:
            assert min(picture.size) > 200
            assert len(np.unique(np.asarray(picture.convert("L")))) > 20


def test_nothing_is_replaced(tmp_path: Path) -> None:
    directory = trained(tmp_path)
    with pytest.raises(HeadError, match=r"mine exists: remove it, or choose another output"):
        trained(tmp_path)
    (tmp_path / "heads" / "empty").mkdir()
    examples = made()
    train(examples, split(examples.targets, 0.2, 0), Recipe("linear", epochs=1), directory.with_name("empty"), silent)
    assert load_head(directory.with_name("empty")).config.labels == ("a", "b", "c")


def test_a_directory_that_cannot_be_written_whole_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "learning_curves.png")

    with monkeypatch.context() as patched:
        patched.setattr(training_run, "draw_learning_curves", full)
        with pytest.raises(HeadError, match=r"cannot write learning_curves.png: No space left on device"):
            trained(tmp_path)
    assert [path.name for path in (tmp_path / "heads").iterdir()] == ["mine.training"]
    monkeypatch.setattr(fitting._Fitting, "_learn", None)  # what is learned is not learned again
    assert load_head(trained(tmp_path)).config.kind == "linear"
    assert [path.name for path in (tmp_path / "heads").iterdir()] == ["mine"]


def test_what_a_killed_process_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "heads" / "mine.partial").mkdir(parents=True)
    (tmp_path / "heads" / "mine.partial" / "config.json").write_text("{")
    assert load_head(trained(tmp_path)).config.frames == 6

    def write_half() -> None:
        with whole_directory(tmp_path / "other") as partial:
            (partial / "file").touch()
            raise Killed

    with pytest.raises(Killed):
        write_half()
    assert [path.name for path in tmp_path.iterdir()] == ["heads"]


@pytest.mark.parametrize(
    ("text", "revision"),
    [
        ("openai/clip-vit-base-patch32@3d74acf", "3d74acf"),
        ("demo (small networks that learned from rendered clips)", None),
        ("directory /home/me@work/clip", None),
        ("random:0 (stand-in weights, the figures mean nothing)", None),
    ],
)
def test_the_encoder_and_its_revision_are_named_apart(text: str, revision: str | None) -> None:
    name = text.partition("@")[0] if revision else text
    assert HeadConfig.encoder_of(text) == (name, revision)
    config = HeadConfig("linear", "frames", name, revision, 16, WIDTH, ("a", "b"), False)
    assert config.encoder_weights == text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": "best"}, "there is no kind 'best', only linear, transformer, "),
        ({"kind": "lstm"}, "tensor lstm.bias_hh_l0, .* is missing"),
        ({"on": "pixels"}, "on is 'pixels', expected frames or segments"),
        ({"width": 8}, "shape .16,., expected .8,."),
        ({"width": "16"}, "width is '16'"),
        ({"width": 0}, "6 frames of 0 values are not embeddings"),
        ({"labels": ["a", "b"]}, "shape"),
        ({"labels": ["a", "a", "b"]}, "expected two different names or more"),
        ({"labels": "abc"}, "labels is 'abc'"),
        ({"encoder": None}, "encoder is None"),
    ],
)
def test_a_directory_that_does_not_fit_together_is_refused(
    changes: dict[str, Any], sentence: str, whole_head: Path, tmp_path: Path
) -> None:
    directory = Path(shutil.copytree(whole_head, tmp_path / "mine"))
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ExportError, match=sentence):
        load_head(directory)


def test_a_directory_that_is_no_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"cannot read .*config.json: No such file"):
        load_head(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "videomae"}')
    with pytest.raises(ExportError, match=r"config.json is not that of a head: it has no kind"):
        load_head(tmp_path)
    directory = trained(tmp_path)
    (directory / "model.safetensors").write_bytes(b"half")
    with pytest.raises(ExportError, match=r"model.safetensors is damaged or incomplete"):
        load_head(directory)
    (directory / "model.safetensors").unlink()
    with pytest.raises(ExportError, match=r"mine has no model.safetensors"):
        load_head(directory)


def test_a_head_is_loaded_without_what_only_training_needs() -> None:
    code = (
        "import sys\n"
        "for name in ('matplotlib', 'sklearn', 'scipy', 'cv2', 'pyarrow', 'client', 'tqdm'):\n"
        "    sys.modules[name] = None\n"
        "import training.heads.saved\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr


def check_graph(kind: str, multi_label: bool, folder: Path) -> None:
    head = new_head(kind, multi_label=multi_label)
    config = HeadConfig(kind, "frames", *HeadConfig.encoder_of(ENCODER), 6, WIDTH, ("a", "b", "c"), multi_label)
    save_head(head, config, folder)
    saved = load_head(folder)
    assert write_head(saved, folder / "model.onnx") < 1e-3
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    assert [(each.name, each.shape[1]) for each in session.get_inputs()] == [("EMBEDDINGS", WIDTH)]
    for frames in (1, 5, 33):
        embeddings = torch.randn(frames, WIDTH, generator=torch.Generator().manual_seed(frames)) * 2
        (found,) = session.run(["PROBABILITIES"], {"EMBEDDINGS": embeddings.numpy()})
        with torch.no_grad():
            expected = probabilities_of(head(embeddings[None]), multi_label=multi_label).numpy()
        assert found.shape == (1, 3)
        assert found == pytest.approx(expected, abs=1e-4)


def test_a_graph_has_the_heads_probabilities(tmp_path: Path) -> None:
    check_graph("transformer", False, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_graph_has_the_heads_probabilities(kind: str, multi_label: bool, tmp_path: Path) -> None:
    check_graph(kind, multi_label, tmp_path)


def test_a_graph_that_says_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = HeadConfig("linear", "frames", *HeadConfig.encoder_of(ENCODER), 6, WIDTH, ("a", "b", "c"), False)
    right, wrong = (SavedHead(new_head("linear"), config) for _ in range(2))
    for parameter in wrong.parameters():
        torch.nn.init.zeros_(parameter)
    monkeypatch.setattr("export.head_network.write_graph", lambda *_, **__: None)
    write_head_of(wrong, tmp_path / "model.onnx")
    with pytest.raises(ExportError, match=r"model.onnx differs from PyTorch by"):
        write_head(right, tmp_path / "model.onnx")


def write_head_of(head: SavedHead, path: Path) -> None:
    from export.graph import write_graph

    write_graph(head, torch.randn(3, WIDTH), path, input_name="EMBEDDINGS", output_names=["PROBABILITIES"])


def test_a_head_over_another_encoder_is_refused() -> None:
    config = HeadConfig("linear", "segments", "someone/motion", "1", 6, WIDTH, ("a", "b"), False)
    refuse_other_encoder(config, {"motion": "someone/motion@1", "frames": "x"}, "head genre")
    with pytest.raises(
        ExportError, match=r"^head genre learned from embeddings of segments by someone/motion@1, not by demo"
    ):
        refuse_other_encoder(config, {"motion": "demo", "frames": "someone/motion@1"}, "head genre")
    with pytest.raises(
        ExportError, match=r"^head genre needs embeddings of segments by someone/motion@1, which is not"
    ):
        refuse_other_encoder(config, {"frames": "someone/motion@1"}, "head genre")


def test_labels_of_any_letters_and_number_are_drawn(tmp_path: Path) -> None:
    names = ["$a_b$ %", "长镜头", "a very long label that no picture has the room for", *map(str, range(57))]
    draw_confusion(tmp_path / "confusion.png", np.diag(np.arange(60)), names, "title")
    targets = np.eye(2, dtype=bool)
    draw_found(tmp_path / "found.png", targets, ~targets, names[:2], "title")
    for name in ("confusion.png", "found.png"):
        with Image.open(tmp_path / name) as picture:
            assert 200 < min(picture.size) <= max(picture.size) < 3000


def test_a_comparison_is_of_all_kinds_on_one_split_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_run, "_draw", lambda *_: None)
    examples = made(60)
    parts = split(examples.targets, 0.2, 0)
    recipe = Recipe("linear", 0.2, epochs=2, learning_rate=1e-2)
    seen: list[str] = []

    def report(line: str) -> None:
        seen.append(line)
        if "random_frame, mixup" in line:
            raise Killed

    with pytest.raises(Killed):
        compare(examples, parts, recipe, tmp_path, report)
    lines: list[str] = []
    rows = compare(examples, parts, recipe, tmp_path, lines.append)
    assert sum(line.startswith("done before, in ") for line in lines) == 5
    assert [(one.kind, one.mixup) for one, _ in rows] == [(kind, mixup) for kind in KINDS for mixup in (None, 0.2)]
    content = json.loads((tmp_path / "comparison.json").read_text())
    for row, (one, outcome) in zip(content, rows, strict=True):
        directory = tmp_path / (one.kind if one.mixup is None else f"{one.kind}_mixup")
        assert load_head(directory).config.kind == row["kind"] == one.kind
        metrics = json.loads((directory / "metrics.json").read_text())
        assert row["accuracy"] == metrics["accuracy"] == vars(outcome.figures["accuracy"])
        assert metrics["videos"] == {"training": 36, "validation": 12, "test": 12}
    videos = [(tmp_path / name / "test_videos.csv").read_text() for name in ("linear", "lstm_mixup")]
    assert [line.split(",")[0] for line in videos[0].splitlines()] == [
        line.split(",")[0] for line in videos[1].splitlines()
    ]
    with Image.open(tmp_path / "comparison.png") as picture:
        assert min(picture.size) > 400
    with pytest.raises(HeadError, match="has a comparison: remove it, or choose another output"):
        compare(examples, parts, recipe, tmp_path, silent)
    (tmp_path / "comparison.json").unlink()
    with pytest.raises(HeadError, match=r"linear is of another training: remove it"):
        compare(examples, split(examples.targets, 0.2, 1), recipe, tmp_path, silent)


def files_of(examples: Examples, folder: Path) -> list[str]:
    """The arguments that name a table and labels of `examples`."""
    table = write_embeddings(folder / "scores.parquet", dict(zip(examples.videos, examples.embeddings, strict=True)))
    lines = [
        f"{video},{';'.join(np.array(examples.labels)[target])}"
        for video, target in zip(examples.videos, examples.targets, strict=True)
    ]
    (folder / "labels.csv").write_text("\n".join(["video,label", *lines]) + "\n")
    return ["--scores", str(table), "--labels", str(folder / "labels.csv")]


def test_the_command_trains_and_says_what_came_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = files_of(made(), tmp_path)
    output = tmp_path / "mine"
    options = ["--kind", "transformer", "--mixup", "0.2", "--epochs", "2", "--output", str(output)]
    assert command.main([*files, *options]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == f"90 videos, 3 labels, up to 6 frames of 16 values, by {ENCODER}"
    assert lines[1] == "72 to learn from, 9 for validation, 9 to test with"
    assert lines[2].startswith("epoch 1 of 2: training loss ")
    metrics = json.loads((output / "metrics.json").read_text())
    assert metrics["recipe"]["mixup"] == 0.2
    value, low, high = (metrics["accuracy"][name] for name in ("value", "low", "high"))
    assert f"accuracy  {value:.3f}, 95 % interval {low:.3f} to {high:.3f}" in lines
    assert said.err == ""
    assert command.main([*files, *options]) == 1
    assert capsys.readouterr().err == f"heads: {output} exists: remove it, or choose another output\n"


def test_the_command_compares(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_run, "_draw", lambda *_: None)
    files = files_of(made(30), tmp_path)
    assert command.main(["compare", *files, "--epochs", "1", "--output", str(tmp_path / "all")]) == 0
    said = capsys.readouterr()
    table = said.out[said.out.index("kind  ") :].splitlines()
    assert sorted(line.split()[0] for line in table[1:11]) == sorted([*KINDS, *KINDS])
    values = [float(line.split()[2]) for line in table[1:11]]
    assert values == sorted(values, reverse=True)
    assert (tmp_path / "all" / "comparison.png").is_file()


def test_the_commands_notes_go_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = files_of(made(6), tmp_path)
    assert command.main([*files, "--kind", "linear", "--epochs", "1", "--output", str(tmp_path / "mine")]) == 0
    assert "NOTE: too few videos for validation: training does not stop early\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--mixup", "0"], "--mixup is 0.0, it must be above 0"),
        (["--mixup", "nan"], "--mixup is nan, it must be above 0"),
        (["--test-size", "0.6"], "--test-size is 0.6, it must be above 0 and at most 0.5"),
        (["--epochs", "0"], "--epochs is 0, it must be at least 1"),
        (["--batch-size", "0"], "--batch-size is 0, it must be at least 1"),
        (["--learning-rate", "nan"], "--learning-rate is nan"),
        (["--seed", "-1"], "--seed is -1, it must be at least 0"),
        (["--kind", "best"], "invalid choice: 'best'"),
    ],
)
def test_the_command_refuses_numbers_out_of_range(
    options: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--scores", "t.parquet", "--labels", "l.csv", "--output", str(tmp_path / "x")]
    with pytest.raises(SystemExit) as ended:
        command.main([*files, "--kind", "linear", *options])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_the_command_knows_all_kinds() -> None:
    assert tuple(KINDS) == command.KINDS


def test_interrupting_the_command_is_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting._Fitting, "_learn", interrupted)
    files = files_of(made(30), tmp_path)
    assert command.main([*files, "--kind", "linear", "--output", str(tmp_path / "mine")]) == 130
    assert "interrupted; run the same command again to go on" in capsys.readouterr().err


@pytest.mark.slow
def test_a_command_that_is_killed_at_any_moment_ends_with_the_same_head(tmp_path: Path) -> None:
    files = files_of(made(300), tmp_path)
    arguments = ["--kind", "transformer", "--mixup", "0.2", "--epochs", "8", "--patience", "0"]

    def start(name: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "training.heads", *files, *arguments, "--output", str(tmp_path / name)]
        return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    with start("whole") as whole:
        whole.communicate(timeout=120)
    for epoch in (2, 5):
        with start("killed") as killed:
            assert killed.stdout is not None
            for line in killed.stdout:
                if line.startswith(f"epoch {epoch} "):
                    killed.kill()
                    break
    with start("killed") as resumed:
        output, _ = resumed.communicate(timeout=120)
    assert "going on after epoch" in output
    for name in ("model.safetensors", "config.json", "metrics.json", "test_videos.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes(), name
