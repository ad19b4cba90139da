"""Training: what clips become when they are turned about, what is learned of them, and what is saved."""

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from export.camera_network import load_camera
from export.motion_network import BACKBONE_HEADS, load_motion
from training import augmentation, calibration, train, weight_surgery
from training.__main__ import main
from training.augmentation import augment, backwards, mirrored, on_its_side, recolour, relight, upside_down
from training.blur_filters import put_fine_waves
from training.calibration import calibrate
from training.checkpoint import write_checkpoints
from training.dataset import Shard, make_shard, make_shards
from training.evaluation import Answer, evaluate
from training.losses import course_of, fine_loss, level_loss, rank_loss
from training.moves import LABELS
from training.network import DemoModel, at_places
from training.start import FIRST_WAVE, start, start_from_motion_energy
from training.temporal_channels import CLOCK, keep_temporal_channels, put_looking_heads, put_temporal_channels
from training.train import BOTH, SCORES, Clips, Phase, Training
from training.weight_surgery import with_another_block


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
    """A generator that says which of the four changes of `augment` are made, and what becomes of the colours."""

    def __init__(self, *changes: bool, colours: tuple[int, ...] = (0, 1, 2)) -> None:
        self._changes, self._colours = changes, colours

    def permutation(self, count: int) -> np.ndarray:
        assert count == len(self._colours)
        return np.array(self._colours)

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
    _, motion, lit, called = augment(Always(*changes), frames, FIELDS[label], light, labels)
    (name,) = np.array(LABELS)[called]
    assert name == rename(label)
    assert motion == pytest.approx(FIELDS[name], abs=1e-7)
    assert (lit == (light[::-1] * [-1, -1, -1, -1, 1] if rename is backwards else light)).all()


def test_an_arc_is_not_turned_on_its_side():
    frames = np.arange(16 * 14 * 14 * 3).reshape(16, 14, 14, 3)
    labels = np.array([each == "arc_left" for each in LABELS])
    light = np.zeros((15, 5), np.float32)
    turned, _, _, called = augment(Always(False, False, False, True), frames, field(), light, labels)
    assert (turned == frames).all()
    assert (called == labels).all()


def test_colours_change_places_in_frames_and_in_what_is_said_of_light():
    frames = np.broadcast_to(np.array([10, 20, 30], np.uint8), (16, 14, 14, 3))
    light = np.tile(np.array([1, 2, 3, 4, 5], np.float32), (15, 1))
    order = Always(False, False, False, False, colours=(2, 0, 1))
    seen, _, lit, _ = augment(order, frames, field(), light, np.zeros(len(LABELS), bool))
    assert (seen == [30, 10, 20]).all()
    assert (lit == [3, 1, 2, 4, 5]).all()


def test_another_exposure_leaves_the_stops_between_frames():
    video = torch.full((3, 2, 4, 4, 3), 40.0)
    video[:, 1] = 80.0
    recolour(torch.Generator().manual_seed(0), video)
    assert (video[:, 1] / video[:, 0]).log2() == pytest.approx(torch.ones(3, 4, 4, 3), abs=1e-4)
    assert len(video.unique()) == 3 * 2 * 3


def square(side: int = 112) -> np.ndarray:
    """(16, side, side, 3) a checkerboard that nothing changes."""
    board = 60 + 100 * (np.indices((side, side)).sum(0) // 4 % 2)
    return np.tile(board[None, :, :, None], (16, 1, 1, 3)).astype(np.uint8)


def test_a_clip_under_another_light_changes_as_it_is_then_said_to():
    still, span = np.zeros((15, 5), np.float32), np.array([1, 1.5], np.float32)
    before = np.array([0.1, 0.2, 0], np.float32)
    brightened = blurred = 0
    for seed in range(40):
        frames, light, rates = relight(np.random.default_rng(seed), square(), still, before, 2.0, span)
        steps = np.abs(light[:, :3]).mean(1).sum() + np.abs(light[:, 3]).sum()
        assert rates == pytest.approx([0.1, 0.2, steps / 2], abs=1e-5)
        stops = np.log2(frames.mean((1, 2)) / frames[0].mean((0, 1)))
        if light[:, :3].any() and stops.max() < 0.5:  # nothing is too bright to be told
            brightened += 1
            assert stops[1:] == pytest.approx(light[:, :3].cumsum(0), abs=0.1)
        if light[:, 3].any():
            blurred += 1
            sharpest, softest = (pick(np.append(0, light[:, 3].cumsum())) for pick in (np.argmin, np.argmax))
            assert contrast(frames[softest]) < 0.9 * contrast(frames[sharpest])
    assert min(brightened, blurred) >= 5


def contrast(frame: np.ndarray) -> float:
    return float(frame.std() / frame.mean())


def test_a_clip_whose_light_changes_keeps_it():
    light = np.zeros((15, 5), np.float32)
    light[3, 1] = 0.2
    rates = np.zeros(3, np.float32)
    for seed in range(5):
        found = relight(np.random.default_rng(seed), square(), light, rates, 2.0, np.ones(2, np.float32))
        assert all(one is other for one, other in zip(found, (found[0], light, rates), strict=True))
        assert (found[0] == square()).all()


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
    config = replace(BOTH, phases=(Phase(1, 2, 2), Phase(1, 4, 2)))
    for _ in range(sittings):
        training = Training(Clips(shards), checkpoint, 0, config)
        done = training.run(print, until=0 if sittings > 1 else 1e9)
    assert done
    assert training.step == 2
    return training


def test_the_learning_rate_falls_where_a_phase_settles(shards: Path, tmp_path: Path):
    config = replace(BOTH, phases=(Phase(1000, 2, 2, settles=True), Phase(1000, 2, 2, rate=0.5)))
    training = Training(Clips(shards), tmp_path / "new.pt", 0, config)
    rates = []
    for step in (0, 350, 700, 999, 1000, 1999):
        training.step = step
        rates.append(training.rate())
    assert rates == pytest.approx([1 / 300, 1, 0.52, 0.02 + 1 / 600, 0.5, 0.5])


def test_a_training_in_several_sittings_is_the_same(shards: Path, tmp_path: Path):
    """Every sitting but the last ends after one step."""
    at_once = trained(shards, tmp_path / "once.pt", 1)
    in_parts = trained(shards, tmp_path / "parts.pt", 3)
    for name, value in at_once.model.state_dict().items():
        assert torch.allclose(value, in_parts.model.state_dict()[name], atol=1e-5), name


def test_the_motion_network_goes_on_from_both_and_leaves_labels_alone(shards: Path, tmp_path: Path):
    learned = trained(shards, tmp_path / "both.pt", 1).average
    config = replace(SCORES, phases=(Phase(2, 8, 2),))
    alone = Training(Clips(shards), tmp_path / "scores.pt", 1, config, learned)
    assert all(torch.equal(value, learned[name]) for name, value in alone.model.state_dict().items())
    losses = [alone.advance() for _ in range(2)]
    assert list(losses[0]) == ["motion", "light", "levels", "amounts", "scores"]
    after = alone.model.state_dict()
    assert torch.equal(after["classifier.bias"], learned["classifier.bias"])
    for name in ("encoder.blocks.0.mlp.fc1.weight", "head.final_layer.linear.2.weight", "levels.bias"):
        assert not torch.equal(after[name], learned[name])


def test_the_places_that_are_looked_at_are_those_of_the_whole():
    torch.manual_seed(0)
    model = DemoModel()
    video = torch.randint(0, 256, (2, 16, 112, 112, 3)).float()
    every = torch.arange(49).expand(2, -1)
    some = torch.tensor([[3, 10, 48], [0, 1, 2]])
    with torch.no_grad():
        whole = model.layers(video, torch.arange(8))
        assert torch.allclose(model.layers(video, torch.arange(8), every)[-1], whole[-1], atol=1e-5)
        assert model.layers(video, torch.arange(8), some)[-1].shape == (2, 8 * 3, 168)
    motion = torch.arange(2 * 8 * 49 * 4).reshape(2, 8, 49, 4)
    at = at_places(motion, some)
    assert (at[0, 5] == motion[0, 5, [3, 10, 48]]).all()
    assert (at[1, 7] == motion[1, 7, [0, 1, 2]]).all()


def test_a_part_of_a_pixel_counts_where_motion_is_fine():
    """What moves by itself by a quarter of a pixel: said rightly, or not at all; what a cut hides does not count."""
    motion = torch.zeros(1, 8, 49, 4)
    motion[0, :, 5, 0] = 0.25 / 112
    model = DemoModel()
    model.early_flow = model.fine_motion = torch.nn.Identity()  # tokens say it themselves

    def loss(said: torch.Tensor, motion: torch.Tensor = motion) -> float:
        said = torch.asinh(300 * said).flatten(1, 2)
        return float(fine_loss(model, [torch.zeros_like(said[..., :2]), said[..., :2], said[..., 2:]], motion))

    own = motion[..., :2]
    right = torch.cat([own, motion[..., 2:], own, own.norm(dim=-1, keepdim=True)], dim=-1)
    assert loss(right) == pytest.approx(0, abs=1e-9)
    for part in (slice(0, 2), slice(4, 6), slice(6, 7)):
        wrong = right.clone()
        wrong[..., part] = 0
        assert loss(wrong) > 1e-3
    hidden = motion.clone()
    hidden[0, :, 5] = torch.nan
    assert loss(torch.where(hidden.isnan().any(-1, keepdim=True), 9.0, right), hidden) == pytest.approx(0, abs=1e-9)


def test_another_block_says_nothing_at_first():
    torch.manual_seed(0)
    model, deeper = DemoModel(), DemoModel(5)
    deeper.load_state_dict(with_another_block(model.state_dict()))
    video = torch.randint(0, 256, (1, 16, 112, 112, 3)).float()
    with torch.no_grad():
        before = model.layers(video.clone(), torch.arange(8))
        after = deeper.layers(video.clone(), torch.arange(8))
    assert [torch.equal(one, other) for one, other in zip(after, [*before[:2], *before[1:]], strict=True)] == [True] * 5
    blocks = deeper.encoder.blocks
    assert torch.equal(blocks[2].attn.qkv.weight, blocks[1].attn.qkv.weight)
    assert blocks[2].mlp.fc1.weight.any()


def test_rates_are_learned_as_of_segments_that_last_equally_long(shards: Path):
    """How long one is, the network does not see: a clip twice as slow would else be right to score half."""
    clips = Clips(shards)
    (rates,) = clips.batch(np.random.default_rng(0), 1, np.arange(8))[4].double()
    shard = [Shard.load(shards, number) for number in range(2)]
    seen = np.concatenate([each.rates * each.seconds[:, None] / 1.9 for each in shard])
    assert np.abs(seen - rates.numpy()).max(1).min() < 1e-6


def test_ranks_are_right_where_scores_rise_with_rates(monkeypatch: pytest.MonkeyPatch):
    """Whatever the scores are otherwise; and what ties may come in any order."""
    model = DemoModel()
    monkeypatch.setattr(model, "scores", lambda videos: videos[:, 0])
    rates = torch.tensor([0.0, 0.0, 1.0, 2.0])[:, None].expand(-1, 3)

    def loss(*scores: float) -> float:
        return float(rank_loss(model, torch.tensor(scores).float()[:, None].expand(-1, 3), rates, 1))

    assert loss(-90, -50, 0, 50) == pytest.approx(0, abs=1e-6)
    assert loss(-50, -90, 0, 50) == pytest.approx(0, abs=1e-6)
    assert loss(-90, 0, -50, 50) > loss(-50, -90, 50, 0) > 1
    assert loss(0, 0, 0, 0) == pytest.approx(np.log(2))


def looked_at(model: DemoModel, video: torch.Tensor, index: int) -> torch.Tensor:
    """(clips, heads, tokens, tokens) what the heads of a block weigh other tokens by."""
    block = model.encoder.blocks[index]
    x = model.layers(video, torch.arange(8))[index - 1]
    q, k, _ = block.attn.qkv(block.norm1(x)).unflatten(-1, (3, BACKBONE_HEADS, -1)).permute(2, 0, 3, 1, 4)
    q = q + block.attn.q_bias.unflatten(0, (BACKBONE_HEADS, -1))[:, None]
    return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)


@pytest.fixture(scope="module")
def with_clock() -> tuple[DemoModel, dict[int, list[int]], torch.Tensor]:
    """A model that got a clock and has learned a little since, its heads that look, and noise that it saw."""
    torch.manual_seed(0)
    model = DemoModel()
    noise = torch.randint(0, 256, (2, 16, 112, 112, 3)).float()
    start(model, noise)
    put_temporal_channels(model, noise)
    heads = put_looking_heads(model, noise)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.003 * torch.randn_like(parameter)
    keep_temporal_channels(model)
    return model, heads, noise


def test_heads_look_at_their_own_pair_of_frames_and_at_the_one_before(with_clock):
    model, heads, noise = with_clock
    pair = torch.arange(8 * 49) // 49
    for index in (1, 3):
        with torch.no_grad():
            weights = looked_at(model, noise, index)
        for head, away in zip(heads[index], (0, 1), strict=True):
            there = (pair[:, None] - away) % 8 == pair
            assert (weights[:, head] * there).sum(-1).mean() > 0.6, (index, away)


def test_nothing_is_written_into_the_clock(with_clock):
    model, _, noise = with_clock
    with torch.no_grad():
        layers = model.layers(noise, torch.arange(8))
    table = model.encoder.positions[:, CLOCK]
    for layer in layers:
        assert torch.equal(layer[..., CLOCK], table.expand_as(layer[..., CLOCK]))


def test_fine_waves_see_a_blur_and_what_they_see_is_gathered(with_clock):
    model, heads, noise = with_clock
    model = copy.deepcopy(model)
    still = noise[:, :1].expand_as(noise)
    soft = torch.nn.functional.avg_pool2d(still.movedim(-1, 2).flatten(0, 1), 3, 1, 1)
    soft = soft.unflatten(0, still.shape[:2]).movedim(2, -1)
    half = torch.cat([still[:, :8], soft[:, 8:]], dim=1)
    before = model.encoder.patch_embed.proj.weight.clone()
    put_fine_waves(model, half, heads[1])
    with torch.no_grad():
        changed = (model.encoder.patch_embed.proj.weight != before).flatten(1).any(1)
        tokens = model.encoder.patch_embed(model.normalised(half))[..., changed].unflatten(1, (8, -1))
        block = model.encoder.blocks[1]
        x = model.layers(half, torch.arange(8))[0]
        first = heads[1][0] * 14
        gathered = torch.nn.functional.linear(block.norm1(x), block.attn.qkv.weight[336 + first : 336 + first + 5])
        gathered = (looked_at(model, half, 1)[:, heads[1][0]] @ gathered).unflatten(1, (8, -1)).mean(2)
    assert changed.sum() == 24
    assert not changed[FIRST_WAVE:].any()
    assert not changed[CLOCK].any()
    assert (tokens[:, 4:].std((0, 1, 2)) < 0.5 * tokens[:, :4].std((0, 1, 2))).all()
    # Of three fine bands: less in every late pair of frames than in every early one.
    assert (gathered[:, :4, :3].amin(1) > gathered[:, 4:, :3].amax(1)).all()


def test_levels_are_what_steps_add_up_to_where_nothing_is_cut():
    """A clip that brightens by a stop over its 16 frames, and another with a cut that does not count."""
    light = torch.zeros(2, 15, 5)
    light[:, :, :3] = 1 / 15
    light[1, 4, 4] = 1
    level = torch.arange(16) / 15
    pairs = level[0::2] + level[1::2]
    model = DemoModel()
    model.levels = model.early_levels = torch.nn.Identity()  # tokens say it themselves
    said = torch.zeros(2, 8, 49, 4)
    said[..., :3] = (pairs - pairs.mean())[:, None, None]

    def loss(early: torch.Tensor, late: torch.Tensor) -> float:
        layers = [each.flatten(1, 2) for each in (late, early, early, late)]
        return float(level_loss(model, layers, light, torch.arange(8)))

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
    model = DemoModel()
    noise = torch.randint(0, 256, (2, 16, 112, 112, 3)).float()
    start_from_motion_energy(model, noise)
    x = torch.arange(112)
    wave = 127 + 100 * torch.sin(2 * torch.pi / 13 * (x + torch.tensor([0.0, 13 / 4])[:, None]))
    video = wave[None, :, None, :, None].expand(1, 2, 112, 112, 3)
    index = FIRST_WAVE + 4 * (2 * 6)  # 13 pixels, no angle: the cosine and sine of the first frame, then of the second
    with torch.no_grad():
        channels = model.encoder.patch_embed(model.normalised(video))[0, :, index : index + 4]
    cosine, sine, cosine_after, sine_after = channels.T
    turned = torch.atan2(sine_after, cosine_after) - torch.atan2(sine, cosine)
    quarter = torch.remainder(turned + torch.pi, 2 * torch.pi) - torch.pi
    assert quarter.abs().median() == pytest.approx(np.pi / 2, abs=0.35)


def test_heads_gather_from_regions_of_the_picture_before_any_training():
    torch.manual_seed(0)
    model = DemoModel()
    noise = torch.randint(0, 256, (2, 16, 112, 112, 3)).float()
    start(model, noise)
    number = torch.arange(8 * 49)
    column, row = number % 7 - 3.0, number // 7 % 7 - 3.0
    with torch.no_grad():
        weights = looked_at(model, noise, 1)
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
    state = DemoModel().state_dict()
    some = [Shard.load(shards, number) for number in range(2)]
    monkeypatch.setattr(calibration, "WANTED", dict.fromkeys(calibration.WANTED, 1.0))
    shifted = calibrate(state, some)
    model = DemoModel()
    model.load_state_dict(shifted)
    logits, labels = calibration._answers(model, some)
    assert labels.any()
    assert (logits[labels] > -1e-5).all()
    assert [name for name in state if not torch.equal(state[name], shifted[name])] == ["classifier.bias"]


def test_what_is_saved_answers_as_what_was_trained(tmp_path: Path):
    """At twice the size, through the code that exports published checkpoints."""
    torch.manual_seed(3)
    model, labeller = DemoModel().eval(), DemoModel().eval()
    for parameter in (*model.parameters(), *labeller.parameters()):
        torch.nn.init.normal_(parameter, std=0.1) if parameter.dim() > 1 else None
    write_checkpoints(labeller.state_dict(), model.state_dict(), tmp_path)
    for network in ("motion", "camera"):
        assert (tmp_path / network / "model.safetensors").stat().st_size < 12_000_000
    backbone, head = load_motion(tmp_path / "motion")
    camera = load_camera(tmp_path / "camera")
    assert camera.labels == list(LABELS)
    clips = torch.randint(0, 256, (2, 16, 224, 224, 3), dtype=torch.uint8)
    small = clips.float().unflatten(2, (112, 2)).unflatten(4, (112, 2)).mean((3, 5))
    with torch.no_grad():
        embeddings = model.embeddings(model.tokens(small, torch.arange(8)))
        assert backbone(clips) == pytest.approx(embeddings, abs=0.02)
        scores, _ = head(embeddings)
        assert scores == pytest.approx(3 * torch.sigmoid(model.scores(embeddings[None])), abs=0.02)
        embeddings = labeller.embeddings(labeller.tokens(small, torch.arange(8)))
        assert camera.network(clips) == pytest.approx(torch.sigmoid(labeller.classifier(embeddings)), abs=0.02)
    for each in (backbone, head, camera.network):
        assert sum(parameter.numel() for parameter in each.parameters()) < 6e6


def test_a_verdict_counts_labels_and_ranks_scores():
    def answer(labels: set[str], reported: set[str], rate: float, score: float) -> Answer:
        return Answer(frozenset(labels), frozenset(reported), np.full(3, rate), np.full(3, score))

    verdict = evaluate(
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


def test_clips_of_an_earlier_version_are_named(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    clips = Path(shutil.copytree(shards, tmp_path / "clips"))
    with np.load(clips / "00001.npz") as rest:
        np.savez(clips / "00001.npz", **{name: rest[name] for name in rest.files if name not in ("spans", "seconds")})
    assert main(["--directory", str(tmp_path), "train", "--output", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error == f"training: {clips / '00001'}.npz has no seconds: remove what an earlier version rendered\n"


@pytest.mark.slow
def test_training_from_nothing_writes_both_networks(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In sittings of a step each; the motion network ends with a clock."""
    (tmp_path / "clips").symlink_to(shards)
    monkeypatch.setattr(weight_surgery, "CLIPS", 2)
    for name, places in (("BOTH", 49), ("SCORES", 49), ("TEMPORAL", 25), ("FINE", 25)):
        config = replace(getattr(train, name), phases=(Phase(1, 8, 2, places=places),))
        monkeypatch.setattr(train, name, config)
    output = tmp_path / "demo"
    sittings = 0
    while not output.exists():
        assert main(["--directory", str(tmp_path), "train", "--minutes", "0", "--output", str(output)]) == 0
        sittings += 1
        assert sittings <= 5
    assert sittings == 5
    backbone, _ = load_motion(output / "motion")
    camera = load_camera(output / "camera")
    projection = backbone.encoder.patch_embed.proj
    assert isinstance(projection, torch.nn.Conv3d)
    assert not projection.weight[CLOCK].any()
    assert camera.network(torch.zeros(1, 16, 224, 224, 3, dtype=torch.uint8)).shape == (1, len(LABELS))
