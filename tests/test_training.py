"""Training: what clips become when they are turned about, what is learned of them, and what is saved."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from export.camera_network import load_camera
from export.motion_network import BACKBONE_HEADS, load_motion
from training import augmentation, calibration
from training.__main__ import main
from training.augmentation import augment, backwards, mirrored, on_its_side, recolour, upside_down
from training.calibration import calibrate
from training.checkpoint import write_checkpoints
from training.dataset import Shard, make_shard, make_shards
from training.judging import Answer, judge
from training.losses import course_of, level_loss
from training.moves import LABELS
from training.network import Student
from training.start import FIRST_WAVE, start, start_from_motion_energy
from training.train import BOTH, SCORES, Clips, Phase, Training


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards of three clips."""
    directory = tmp_path_factory.mktemp("clips")
    for number in range(2):
        make_shard(7, number, clips=3).save(directory, number)
    return directory


def field(shift: tuple[float, float] = (0, 0), growth: float = 0, turn: float = 0) -> np.ndarray:
    """(8, 7, 7, 4) of a camera that does the same all the time; nothing moves by itself."""
    line = (np.arange(7) + 0.5) / 7 - 0.5
    x, y = np.meshgrid(line, line)
    motion = np.stack([shift[0] + growth * x - turn * y, shift[1] + growth * y + turn * x], axis=-1)
    return np.tile(np.concatenate([motion, motion], axis=-1), (8, 1, 1, 1)).astype(np.float32)


FIELDS = {
    "pan_left": field(shift=(0.02, 0)),
    "pan_right": field(shift=(-0.02, 0)),
    "tilt_up": field(shift=(0, 0.02)),
    "tilt_down": field(shift=(0, -0.02)),
    "zoom_in": field(growth=0.02),
    "zoom_out": field(growth=-0.02),
    "roll_left": field(turn=0.02),
    "roll_right": field(turn=-0.02),
}


class Always:
    """A generator that says which of the four changes of `augment` are made."""

    def __init__(self, *changes: bool) -> None:
        self._changes = changes

    def random(self, count: int) -> np.ndarray:
        assert count == len(self._changes)
        return np.where(self._changes, 0.0, 1.0)


@pytest.mark.parametrize("label", FIELDS)
@pytest.mark.parametrize(
    ("changes", "rename"),
    [
        ((True, False, False, False), mirrored),
        ((False, True, False, False), upside_down),
        ((False, False, True, False), backwards),
        ((False, False, False, True), on_its_side),
    ],
)
def test_a_clip_turned_about_moves_as_it_is_then_called(
    label: str, changes: tuple[bool, ...], rename: Callable[[str], str]
):
    frames = np.zeros((16, 14, 14, 3), np.uint8)
    labels = np.array([each == label for each in LABELS])
    light = np.arange(75, dtype=np.float32).reshape(15, 5)
    _, motion, lit, called = augment(Always(*changes), frames, FIELDS[label], light, labels)  # type: ignore[arg-type]
    (name,) = np.array(LABELS)[called]
    assert name == rename(label)
    assert motion == pytest.approx(FIELDS[name], abs=1e-7)
    assert (lit == (light[::-1] * [-1, -1, -1, -1, 1] if rename is backwards else light)).all()


def test_an_arc_is_not_turned_on_its_side():
    frames = np.arange(16 * 14 * 14 * 3).reshape(16, 14, 14, 3)
    labels = np.array([each == "arc_left" for each in LABELS])
    light = np.zeros((15, 5), np.float32)
    turned, _, _, called = augment(Always(False, False, False, True), frames, field(), light, labels)  # type: ignore[arg-type]
    assert (turned == frames).all()
    assert (called == labels).all()


def test_another_exposure_leaves_the_stops_between_frames():
    video = torch.full((3, 2, 4, 4, 3), 40.0)
    video[:, 1] = 80.0
    recolour(torch.Generator().manual_seed(0), video)
    assert (video[:, 1] / video[:, 0]).log2() == pytest.approx(torch.ones(3, 4, 4, 3), abs=1e-4)
    assert len(video.unique()) == 3 * 2 * 3


def test_every_name_comes_back_when_turned_back():
    for order in augmentation.ORDERS:
        assert (order[order] == np.arange(len(LABELS))).all()


def test_the_course_is_what_the_camera_does():
    motion = torch.from_numpy(field(shift=(0.01, -0.02), growth=0.03, turn=0.04))[None]
    course = torch.sinh(course_of(motion)) / 40
    assert course[0, 0].tolist() == pytest.approx([0.01, -0.02, 0.03, 0.04, 0, 0], abs=1e-6)
    motion[0, 2] = torch.nan
    assert course_of(motion).isnan().any(-1)[0].tolist() == [index == 2 for index in range(8)]


def test_a_sample_is_what_the_server_would_see(shards: Path):
    shard = Shard.load(shards, 0)
    assert shard.frames.shape == (6, 16, 112, 112, 3)
    assert shard.motion.shape == (6, 8, 7, 7, 4)
    assert shard.light.shape == (6, 15, 5)
    assert (shard.labels.sum(1) >= 1).all()
    assert np.abs(np.diff(shard.frames.astype(int), axis=1)).max() > 10


def test_rendering_makes_only_what_is_missing(shards: Path):
    before = {path: path.stat().st_mtime_ns for path in shards.iterdir()}
    make_shards(shards, 7, range(2))
    assert {path: path.stat().st_mtime_ns for path in shards.iterdir()} == before


def trained(shards: Path, checkpoint: Path, sittings: int) -> Training:
    recipe = replace(BOTH, phases=(Phase(1, 2, 2), Phase(1, 4, 2)))
    for _ in range(sittings):
        training = Training(Clips(shards), checkpoint, 0, recipe)
        done = training.run(print, until=0 if sittings > 1 else 1e9)
    assert done
    assert training.step == 2
    return training


def test_the_learning_rate_falls_where_a_phase_settles(shards: Path, tmp_path: Path):
    recipe = replace(BOTH, phases=(Phase(1000, 2, 2, settles=True), Phase(1000, 2, 2)))
    training = Training(Clips(shards), tmp_path / "new.pt", 0, recipe)
    rates = []
    for step in (0, 350, 700, 999, 1000, 1999):
        training.step = step
        rates.append(training.rate())
    assert rates == pytest.approx([1 / 300, 1, 0.52, 0.02 + 1 / 600, 1, 1])


def test_a_training_in_several_sittings_is_the_same(shards: Path, tmp_path: Path):
    """Every sitting but the last ends after one step."""
    at_once = trained(shards, tmp_path / "once.pt", 1)
    in_parts = trained(shards, tmp_path / "parts.pt", 3)
    for name, value in at_once.student.state_dict().items():
        assert torch.allclose(value, in_parts.student.state_dict()[name], atol=1e-5), name


def test_the_motion_network_goes_on_from_both_and_leaves_labels_alone(shards: Path, tmp_path: Path):
    learned = trained(shards, tmp_path / "both.pt", 1).average
    recipe = replace(SCORES, phases=(Phase(2, 8, 2),))
    alone = Training(Clips(shards), tmp_path / "scores.pt", 1, recipe, learned)
    assert all(torch.equal(value, learned[name]) for name, value in alone.student.state_dict().items())
    losses = [alone.advance() for _ in range(2)]
    assert list(losses[0]) == ["motion", "light", "levels", "amounts", "scores"]
    after = alone.student.state_dict()
    assert torch.equal(after["classifier.bias"], learned["classifier.bias"])
    for name in ("encoder.blocks.0.mlp.fc1.weight", "head.final_layer.linear.2.weight", "levels.bias"):
        assert not torch.equal(after[name], learned[name])


def test_levels_are_what_steps_add_up_to_where_nothing_is_cut():
    """A clip that brightens by a stop over its 16 frames, and another with a cut that does not count."""
    light = torch.zeros(2, 15, 5)
    light[:, :, :3] = 1 / 15
    light[1, 4, 4] = 1
    level = torch.arange(16) / 15
    pairs = level[0::2] + level[1::2]
    student = Student()
    student.levels = student.early_levels = torch.nn.Identity()  # tokens say it themselves
    said = torch.zeros(2, 8, 49, 4)
    said[..., :3] = (pairs - pairs.mean())[:, None, None]

    def loss(early: torch.Tensor, late: torch.Tensor) -> float:
        layers = [each.flatten(1, 2) for each in (late, early, early, late)]
        return float(level_loss(student, layers, light, torch.arange(8)))

    assert loss(said, said) == pytest.approx(0, abs=1e-6)
    assert loss(said + 5, said) == pytest.approx(0, abs=1e-6)
    cut = said.clone()
    cut[1] = 9
    assert loss(cut, cut) == pytest.approx(0, abs=1e-6)
    off = said.clone()
    off[0, ..., 3] = 0.3
    assert loss(said, off) == pytest.approx(0.3**2 / 4 / 4, abs=1e-6)


def test_the_first_layers_see_which_way_a_wave_moves():
    """Of a wave that moves by a quarter, one energy is far above its opposite, without any training."""
    torch.manual_seed(0)
    student = Student()
    noise = torch.randint(0, 256, (2, 16, 112, 112, 3)).float()
    start_from_motion_energy(student, noise)
    x = torch.arange(112)
    wave = 127 + 100 * torch.sin(2 * torch.pi / 13 * (x + torch.tensor([0.0, 13 / 4])[:, None]))
    video = wave[None, :, None, :, None].expand(1, 2, 112, 112, 3)
    index = FIRST_WAVE + 4 * (2 * 6)  # 13 pixels, no angle: the cosine and sine of the first frame, then of the second
    with torch.no_grad():
        channels = student.encoder.patch_embed(student.normalised(video))[0, :, index : index + 4]
    cosine, sine, cosine_after, sine_after = channels.T
    turned = torch.atan2(sine_after, cosine_after) - torch.atan2(sine, cosine)
    quarter = torch.remainder(turned + torch.pi, 2 * torch.pi) - torch.pi
    assert quarter.abs().median() == pytest.approx(np.pi / 2, abs=0.35)


def test_heads_gather_from_regions_of_the_picture_before_any_training():
    torch.manual_seed(0)
    student = Student()
    noise = torch.randint(0, 256, (2, 16, 112, 112, 3)).float()
    start(student, noise)
    block = student.encoder.blocks[1]
    number = torch.arange(8 * 49)
    column, row = number % 7 - 3.0, number // 7 % 7 - 3.0
    with torch.no_grad():
        x = student.encoder.patch_embed(student.normalised(noise)) + student.encoder.positions
        x = block.norm1(student.encoder.blocks[0](x))
        q, k, _ = block.attn.qkv(x).unflatten(-1, (3, BACKBONE_HEADS, -1)).permute(2, 0, 3, 1, 4)
        q = q + block.attn.q_bias.unflatten(0, (BACKBONE_HEADS, -1))[:, None]
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
    across, down = ((weights.mean(2) @ where).mean(0) for where in (column, row))
    left, right, above, below, below_on_the_right = across[0], across[1], down[4], down[5], (across[11], down[11])
    assert left < -0.7
    assert right > 0.7
    assert above < -0.7
    assert below > 0.7
    assert min(below_on_the_right) > 0.5
    apart = (number[:, None] // 49 - number // 49).abs().float()
    assert (weights * apart).sum(-1).mean() < apart.mean() - 0.02


def test_calibration_finds_the_share_that_is_wanted(shards: Path, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(4)
    state = Student().state_dict()
    some = [Shard.load(shards, number) for number in range(2)]
    monkeypatch.setattr(calibration, "WANTED", dict.fromkeys(calibration.WANTED, 1.0))
    shifted = calibrate(state, some)
    student = Student()
    student.load_state_dict(shifted)
    logits, labels = calibration._answers(student, some)
    assert labels.any()
    assert (logits[labels] > -1e-5).all()
    assert [name for name in state if not torch.equal(state[name], shifted[name])] == ["classifier.bias"]


def test_what_is_saved_answers_as_what_was_trained(tmp_path: Path):
    """At twice the size, through the code that exports published checkpoints."""
    torch.manual_seed(3)
    student, labeller = Student().eval(), Student().eval()
    for parameter in (*student.parameters(), *labeller.parameters()):
        torch.nn.init.normal_(parameter, std=0.1) if parameter.dim() > 1 else None
    write_checkpoints(labeller.state_dict(), student.state_dict(), tmp_path)
    for network in ("motion", "camera"):
        assert (tmp_path / network / "model.safetensors").stat().st_size < 12_000_000
    backbone, head = load_motion(tmp_path / "motion")
    camera = load_camera(tmp_path / "camera")
    assert camera.labels == list(LABELS)
    clips = torch.randint(0, 256, (2, 16, 224, 224, 3), dtype=torch.uint8)
    small = clips.float().unflatten(2, (112, 2)).unflatten(4, (112, 2)).mean((3, 5))
    with torch.no_grad():
        embeddings = student.embeddings(student.tokens(small, torch.arange(8)))
        assert backbone(clips) == pytest.approx(embeddings, abs=0.02)
        scores, _ = head(embeddings)
        assert scores == pytest.approx(3 * torch.sigmoid(student.scores(embeddings[None])), abs=0.02)
        embeddings = labeller.embeddings(labeller.tokens(small, torch.arange(8)))
        assert camera.network(clips) == pytest.approx(torch.sigmoid(labeller.classifier(embeddings)), abs=0.02)
    for each in (backbone, head, camera.network):
        assert sum(parameter.numel() for parameter in each.parameters()) < 6e6


def test_a_verdict_counts_labels_and_ranks_scores():
    def answer(labels: set[str], reported: set[str], rate: float, score: float) -> Answer:
        return Answer(frozenset(labels), frozenset(reported), np.full(3, rate), np.full(3, score))

    verdict = judge(
        [
            answer({"pan_left"}, {"pan_left", "shake"}, 0.1, 0.2),
            answer({"pan_right"}, {"pan_left"}, 0.3, 0.4),
            answer({"pan_left", "zoom_in"}, {"pan_left"}, 0.2, 0.5),
        ]
    )
    assert verdict.found == {"pan": pytest.approx(2 / 3), "zoom": 0}
    assert verdict.too_many == pytest.approx(2 / 3)
    assert verdict.rank_correlations["camera"] == pytest.approx(0.5)
    assert "pan         66.7% found" in str(verdict)


def test_training_without_clips_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--directory", str(tmp_path), "train", "--output", str(tmp_path)]) == 1
    assert "has no clips: run `python -m training render` first" in capsys.readouterr().err
