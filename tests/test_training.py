"""Training: augmentation, losses, added weights, the loop, and the checkpoints that it writes."""

import contextlib
import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from export.camera_network import load_camera
from export.motion_network import BACKBONE_HEADS, Block, load_motion
from training import augmentation, calibration, train, weight_surgery
from training.__main__ import main
from training.augmentation import augment, backwards, mirrored, on_its_side, recolour, relight, upside_down
from training.blur_filters import add_blur_filters
from training.calibration import calibrate
from training.checkpoint import write_checkpoints
from training.dataset import Shard, draw_training_clip, make_shard, make_shards
from training.evaluation import Answer, evaluate
from training.losses import camera_motion_of, fine_loss, level_loss, rank_loss
from training.moves import LABELS
from training.network import DemoModel, at_places
from training.scene import TexturePool
from training.start import FIRST_WAVE, start, start_from_motion_energy
from training.temporal_channels import (
    TEMPORAL_CHANNELS,
    add_temporal_channels,
    add_temporal_heads,
    restore_temporal_channels,
)
from training.train import BOTH, SCORES, Clips, Phase, Training
from training.weight_surgery import with_another_block
from video import IsolatedDecoder, Limits
from video.clips import CLIP_FRAMES, CLIP_SHAPE, FRAME_SIZE

pytestmark = pytest.mark.slow  # rendering and training take a minute, and no server needs them


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards of three clips."""
    directory = tmp_path_factory.mktemp("clips")
    for number in range(2):
        make_shard(7, number, clips=3).save(directory, number)
    return directory


def field(shift: tuple[float, float] = (0, 0), growth: float = 0, turn: float = 0) -> np.ndarray:
    """(8, 7, 7, 4) motion of a camera with constant speed and no moving objects."""
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
    """A stand-in generator that selects the changes of `augment` and the order of colours."""

    def __init__(self, *changes: bool, colours: tuple[int, ...] = (0, 1, 2)) -> None:
        self._changes, self._colours = changes, colours

    def permutation(self, count: int) -> np.ndarray:
        assert count == len(self._colours)
        return np.array(self._colours)

    def random(self, count: int) -> np.ndarray:
        assert count == len(self._changes)
        return np.where(self._changes, 0.0, 1.0)


def always(*changes: bool, colours: tuple[int, ...] = (0, 1, 2)) -> np.random.Generator:
    """An `Always` for `augment`, which takes a generator."""
    return cast(np.random.Generator, Always(*changes, colours=colours))


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
def test_an_augmented_clip_moves_as_its_new_label_says(
    label: str, changes: tuple[bool, ...], rename: Callable[[str], str]
) -> None:
    frames = np.zeros((16, 14, 14, 3), np.uint8)
    labels = np.array([each == label for each in LABELS])
    light = np.arange(75, dtype=np.float32).reshape(15, 5)
    _, motion, lit, called = augment(always(*changes), frames, FIELDS[label], light, labels)
    (name,) = np.array(LABELS)[called]
    assert name == rename(label)
    assert motion == pytest.approx(FIELDS[name], abs=1e-7)
    assert (lit == (light[::-1] * [-1, -1, -1, -1, 1] if rename is backwards else light)).all()


def test_rows_and_columns_of_an_arc_are_not_swapped() -> None:
    frames: Any = np.arange(16 * 14 * 14 * 3).reshape(16, 14, 14, 3)  # too many different values for a uint8
    labels = np.array([each == "arc_left" for each in LABELS])
    light = np.zeros((15, 5), np.float32)
    turned, _, _, called = augment(always(False, False, False, True), frames, field(), light, labels)
    assert (turned == frames).all()
    assert (called == labels).all()


def test_colours_are_permuted_in_frames_and_in_light_alike() -> None:
    frames = np.broadcast_to(np.array([10, 20, 30], np.uint8), (16, 14, 14, 3))
    light = np.tile(np.array([1, 2, 3, 4, 5], np.float32), (15, 1))
    order = always(False, False, False, False, colours=(2, 0, 1))
    seen, _, lit, _ = augment(order, frames, field(), light, np.zeros(len(LABELS), bool))
    assert (seen == [30, 10, 20]).all()
    assert (lit == [3, 1, 2, 4, 5]).all()


def test_recolouring_keeps_the_stops_between_frames() -> None:
    video = torch.full((3, 2, 4, 4, 3), 40.0)
    video[:, 1] = 80.0
    recolour(torch.Generator().manual_seed(0), video)
    assert (video[:, 1] / video[:, 0]).log2() == pytest.approx(torch.ones(3, 4, 4, 3), abs=1e-4)
    assert len(video.unique()) == 3 * 2 * 3


def square(side: int = 112) -> np.ndarray:
    """(16, side, side, 3) a constant checkerboard."""
    board = 60 + 100 * (np.indices((side, side)).sum(0) // 4 % 2)
    return np.tile(board[None, :, :, None], (16, 1, 1, 3)).astype(np.uint8)


def test_a_relit_clip_changes_as_its_new_light_says() -> None:
    still, span = np.zeros((15, 5), np.float32), np.array([1, 1.5], np.float32)
    before = np.array([0.1, 0.2, 0], np.float32)
    brightened = blurred = 0
    for seed in range(40):
        frames, light, rates = relight(np.random.default_rng(seed), square(), still, before, 2.0, span)
        steps = np.abs(light[:, :3]).mean(1).sum() + np.abs(light[:, 3]).sum()
        assert rates == pytest.approx([0.1, 0.2, steps / 2], abs=1e-5)
        stops = np.log2(frames.mean((1, 2)) / frames[0].mean((0, 1)))
        if light[:, :3].any() and stops.max() < 0.5:  # no pixel is clipped
            brightened += 1
            assert stops[1:] == pytest.approx(light[:, :3].cumsum(0), abs=0.1)
        if light[:, 3].any():
            blurred += 1
            sharpest, softest = (pick(np.append(0, light[:, 3].cumsum())) for pick in (np.argmin, np.argmax))
            assert contrast(frames[softest]) < 0.9 * contrast(frames[sharpest])
    assert min(brightened, blurred) >= 5


def contrast(frame: np.ndarray) -> float:
    return float(frame.std() / frame.mean())


def test_a_clip_whose_light_changes_is_not_relit() -> None:
    light = np.zeros((15, 5), np.float32)
    light[3, 1] = 0.2
    rates = np.zeros(3, np.float32)
    for seed in range(5):
        found = relight(np.random.default_rng(seed), square(), light, rates, 2.0, np.ones(2, np.float32))
        assert all(one is other for one, other in zip(found, (found[0], light, rates), strict=True))
        assert (found[0] == square()).all()


def test_applying_an_augmentation_twice_gives_the_first_label() -> None:
    for order in augmentation.ORDERS:
        assert (order[order] == np.arange(len(LABELS))).all()


def test_camera_motion_is_the_affine_map_of_the_displacements() -> None:
    motion = torch.from_numpy(field(shift=(0.01, -0.02), growth=0.03, turn=0.04))[None]
    camera_motion = torch.sinh(camera_motion_of(motion)) / 40
    assert camera_motion[0, 0].tolist() == pytest.approx([0.01, -0.02, 0.03, 0.04, 0, 0], abs=1e-6)
    motion[0, 2] = torch.nan
    assert camera_motion_of(motion).isnan().any(-1)[0].tolist() == [index == 2 for index in range(8)]


def test_a_sample_is_what_the_server_decodes(shards: Path) -> None:
    """At half the size: the first motion segment and the first camera clip of the shard's first clip."""
    rng = np.random.default_rng([7, 0])
    clip, encoded = draw_training_clip(rng, TexturePool.draw(rng, 80))
    video = memoryview(encoded)
    with contextlib.closing(IsolatedDecoder(Limits())) as decoder:
        plan = decoder.plan(video, {})
        indices, motion, camera = (np.array(plan[name]) for name in ("frame_indices", "motion_order", "camera_order"))
        decoded = decoder.decode(video, indices, motion, camera, FRAME_SIZE)
    shard = Shard.load(shards, 0)
    for stored, clips, labels in zip(shard.frames, decoded[:2], shard.labels, strict=False):
        halved = clips[0].reshape(CLIP_FRAMES, 112, 2, 112, 2, 3).mean((2, 4))
        assert np.abs(stored - halved).max() <= 0.5
        assert {label for label, there in zip(LABELS, labels, strict=True) if there} == clip.moves.labels


def test_rendering_skips_existing_shards(shards: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in shards.iterdir()}
    make_shards(shards, 7, range(2))
    assert {path: path.stat().st_mtime_ns for path in shards.iterdir()} == before


def trained(shards: Path, checkpoint: Path, runs: int) -> Training:
    config = replace(BOTH, phases=(Phase(1, 2, 2), Phase(1, 4, 2)))
    for _ in range(runs):
        training = Training(Clips(shards), checkpoint, 0, config)
        done = training.run(print, until=0 if runs > 1 else 1e9)
    assert done
    assert training.step == 2
    return training


def test_the_learning_rate_falls_at_the_end_of_a_phase_that_decays(shards: Path, tmp_path: Path) -> None:
    config = replace(BOTH, phases=(Phase(1000, 2, 2, decays=True), Phase(1000, 2, 2, rate=0.5)))
    training = Training(Clips(shards), tmp_path / "new.pt", 0, config)
    rates = []
    for step in (0, 350, 700, 999, 1000, 1999):
        training.step = step
        rates.append(training.rate())
    assert rates == pytest.approx([1 / 300, 1, 0.52, 0.02 + 1 / 600, 0.5, 0.5])


def test_a_training_that_is_resumed_gives_the_same_weights(shards: Path, tmp_path: Path) -> None:
    """Every run but the last stops after one step."""
    at_once = trained(shards, tmp_path / "once.pt", 1)
    in_parts = trained(shards, tmp_path / "parts.pt", 3)
    for name, value in at_once.model.state_dict().items():
        assert torch.allclose(value, in_parts.model.state_dict()[name], atol=1e-5), name


def test_the_motion_network_starts_from_both_and_keeps_the_classifier(shards: Path, tmp_path: Path) -> None:
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


def test_selected_patches_are_those_of_the_whole_frame() -> None:
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


def test_a_fraction_of_a_pixel_counts_in_the_fine_loss() -> None:
    """An object moves by a quarter of a pixel; patches across a cut do not count."""
    motion = torch.zeros(1, 8, 49, 4)
    motion[0, :, 5, 0] = 0.25 / 112
    model = DemoModel()
    for name in ("early_flow", "fine_motion"):
        model.register_module(name, torch.nn.Identity())  # tokens are the predictions

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


def block_of(model: DemoModel, index: int) -> Block:
    block = model.encoder.blocks[index]
    assert isinstance(block, Block)
    return block


def test_an_added_block_changes_nothing_at_first() -> None:
    torch.manual_seed(0)
    model, deeper = DemoModel(), DemoModel(5)
    deeper.load_state_dict(with_another_block(model.state_dict()))
    video = torch.randint(0, 256, (1, 16, 112, 112, 3)).float()
    with torch.no_grad():
        before = model.layers(video.clone(), torch.arange(8))
        after = deeper.layers(video.clone(), torch.arange(8))
    assert [torch.equal(one, other) for one, other in zip(after, [*before[:2], *before[1:]], strict=True)] == [True] * 5
    assert torch.equal(block_of(deeper, 2).attn.qkv.weight, block_of(deeper, 1).attn.qkv.weight)
    assert block_of(deeper, 2).mlp.fc1.weight.any()


def test_rates_are_converted_to_segments_of_the_same_duration(shards: Path) -> None:
    """The network cannot see the duration of a segment."""
    clips = Clips(shards)
    (rates,) = clips.batch(np.random.default_rng(0), 1, np.arange(8))[4].double()
    shard = [Shard.load(shards, number) for number in range(2)]
    seen = np.concatenate([each.rates * each.seconds[:, None] / 1.9 for each in shard])
    assert np.abs(seen - rates.numpy()).max(1).min() < 1e-6


def test_the_rank_loss_is_0_if_scores_rise_with_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scores themselves do not matter, nor does the order of equal rates."""
    model = DemoModel()
    monkeypatch.setattr(model, "scores", lambda videos: videos[:, 0])
    rates = torch.tensor([0.0, 0.0, 1.0, 2.0])[:, None].expand(-1, 3)

    def loss(*scores: float) -> float:
        return float(rank_loss(model, torch.tensor(scores).float()[:, None].expand(-1, 3), rates, 1))

    assert loss(-90, -50, 0, 50) == pytest.approx(0, abs=1e-6)
    assert loss(-50, -90, 0, 50) == pytest.approx(0, abs=1e-6)
    assert loss(-90, 0, -50, 50) > loss(-50, -90, 50, 0) > 1
    assert loss(0, 0, 0, 0) == pytest.approx(np.log(2))


def attention_weights(model: DemoModel, video: torch.Tensor, index: int) -> torch.Tensor:
    """(clips, heads, tokens, tokens) attention weights of block `index`."""
    block = block_of(model, index)
    x = model.layers(video, torch.arange(8))[index - 1]
    q, k, _ = block.attn.qkv(block.norm1(x)).unflatten(-1, (3, BACKBONE_HEADS, -1)).permute(2, 0, 3, 1, 4)
    q = q + block.attn.q_bias.unflatten(0, (BACKBONE_HEADS, -1))[:, None]
    return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)


TemporalModel = tuple[DemoModel, dict[int, list[int]], torch.Tensor]
"""A model with temporal channels after a little training, its added heads by block, and the noise that it saw."""


@pytest.fixture(scope="module")
def temporal_model() -> TemporalModel:
    torch.manual_seed(0)
    model = DemoModel()
    noise = torch.randint(0, 256, (2, 16, 112, 112, 3)).float()
    start(model, noise)
    add_temporal_channels(model, noise)
    heads = add_temporal_heads(model, noise)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.003 * torch.randn_like(parameter))
    restore_temporal_channels(model)
    return model, heads, noise


def test_added_heads_attend_to_their_own_pair_of_frames_and_the_one_before(temporal_model: TemporalModel) -> None:
    model, heads, noise = temporal_model
    pair = torch.arange(8 * 49) // 49
    for index in (1, 3):
        with torch.no_grad():
            weights = attention_weights(model, noise, index)
        for head, away in zip(heads[index], (0, 1), strict=True):
            there = (pair[:, None] - away) % 8 == pair
            assert (weights[:, head] * there).sum(-1).mean() > 0.6, (index, away)


def test_no_layer_writes_to_temporal_channels(temporal_model: TemporalModel) -> None:
    model, _, noise = temporal_model
    with torch.no_grad():
        layers = model.layers(noise, torch.arange(8))
    table = model.encoder.positions[:, TEMPORAL_CHANNELS]
    for layer in layers:
        assert torch.equal(layer[..., TEMPORAL_CHANNELS], table.expand_as(layer[..., TEMPORAL_CHANNELS]))


def test_blur_filters_respond_to_a_blur_and_heads_average_them(temporal_model: TemporalModel) -> None:
    model, heads, noise = temporal_model
    model = copy.deepcopy(model)
    still = noise[:, :1].expand_as(noise)
    soft = torch.nn.functional.avg_pool2d(still.movedim(-1, 2).flatten(0, 1), 3, 1, 1)
    soft = soft.unflatten(0, still.shape[:2]).movedim(2, -1)
    half = torch.cat([still[:, :8], soft[:, 8:]], dim=1)
    projection = model.encoder.patch_embed.proj
    assert isinstance(projection, torch.nn.Conv3d)
    before = projection.weight.clone()
    add_blur_filters(model, half, heads[1])
    with torch.no_grad():
        changed = (projection.weight != before).flatten(1).any(1)
        tokens = model.encoder.patch_embed(model.normalised(half))[..., changed].unflatten(1, (8, -1))
        block = block_of(model, 1)
        x = model.layers(half, torch.arange(8))[0]
        first = heads[1][0] * 14
        gathered = torch.nn.functional.linear(block.norm1(x), block.attn.qkv.weight[336 + first : 336 + first + 5])
        gathered = (attention_weights(model, half, 1)[:, heads[1][0]] @ gathered).unflatten(1, (8, -1)).mean(2)
    assert changed.sum() == 24
    assert not changed[FIRST_WAVE:].any()
    assert not changed[TEMPORAL_CHANNELS].any()
    assert (tokens[:, 4:].std((0, 1, 2)) < 0.5 * tokens[:, :4].std((0, 1, 2))).all()
    # In each of three fine bands, every late pair of frames has less than every early one.
    assert (gathered[:, :4, :3].amin(1) > gathered[:, 4:, :3].amax(1)).all()


def test_levels_are_sums_of_steps_and_clips_with_cuts_do_not_count() -> None:
    """One clip brightens by a stop over its 16 frames, the other one has a cut."""
    light = torch.zeros(2, 15, 5)
    light[:, :, :3] = 1 / 15
    light[1, 4, 4] = 1
    level = torch.arange(16) / 15
    pairs = level[0::2] + level[1::2]
    model = DemoModel()
    for name in ("levels", "early_levels"):
        model.register_module(name, torch.nn.Identity())  # tokens are the predictions
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


def test_first_weights_detect_the_direction_of_a_moving_wave() -> None:
    """The phase of a wave that moves by a quarter of its length turns by 90 degrees."""
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


def test_first_weights_make_heads_attend_to_regions() -> None:
    torch.manual_seed(0)
    model = DemoModel()
    noise = torch.randint(0, 256, (2, 16, 112, 112, 3)).float()
    start(model, noise)
    number = torch.arange(8 * 49)
    column, row = number % 7 - 3.0, number // 7 % 7 - 3.0
    with torch.no_grad():
        weights = attention_weights(model, noise, 1)
    across, down = ((weights.mean(2) @ where).mean(0) for where in (column, row))
    left, right, above, below, below_on_the_right = across[0], across[1], down[4], down[5], (across[11], down[11])
    assert left < -0.7
    assert right > 0.7
    assert above < -0.7
    assert below > 0.7
    assert min(below_on_the_right) > 0.5
    apart = (number[:, None] // 49 - number // 49).abs().float()
    assert (weights * apart).sum(-1).mean() < apart.mean() - 0.02


def test_calibration_reaches_the_target_share(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_saved_checkpoints_compute_what_the_trained_models_compute(tmp_path: Path) -> None:
    """On frames of twice the size, loaded by the export."""
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
    clips = torch.randint(0, 256, (2, *CLIP_SHAPE), dtype=torch.uint8)
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


def test_an_evaluation_counts_labels_and_ranks_scores() -> None:
    def answer(labels: set[str], reported: set[str], rate: float, score: float) -> Answer:
        return Answer(frozenset(labels), frozenset(reported), np.full(3, rate), np.full(3, score))

    evaluation = evaluate(
        [
            answer({"pan_left"}, {"pan_left", "shake"}, 0.1, 0.2),
            answer({"pan_right"}, {"pan_left"}, 0.3, 0.4),
            answer({"pan_left", "zoom_in"}, {"pan_left"}, 0.2, 0.5),
        ]
    )
    assert evaluation.found == {"pan": pytest.approx(2 / 3), "zoom": 0}
    assert evaluation.too_many == pytest.approx(2 / 3)
    assert evaluation.rank_correlations["camera"] == pytest.approx(0.5)
    assert "pan         66.7% found" in str(evaluation)


def test_training_without_clips_names_the_command_that_renders_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--directory", str(tmp_path), "train", "--output", str(tmp_path)]) == 1
    assert "has no clips: run `python -m training render` first" in capsys.readouterr().err


def test_clips_of_an_earlier_version_are_named(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = Path(shutil.copytree(shards, tmp_path / "clips"))
    with np.load(clips / "00001.npz") as rest:
        np.savez(clips / "00001.npz", **{name: rest[name] for name in rest.files if name not in ("spans", "seconds")})
    assert main(["--directory", str(tmp_path), "train", "--output", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error == f"training: {clips / '00001'}.npz has no seconds: delete the clips of an earlier version\n"


@pytest.mark.slow
def test_training_from_nothing_writes_both_networks(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In runs of one step each, through all four stages."""
    (tmp_path / "clips").symlink_to(shards)
    monkeypatch.setattr(weight_surgery, "CLIPS", 2)
    for name, places in (("BOTH", 49), ("SCORES", 49), ("TEMPORAL", 25), ("FINE", 25)):
        config = replace(getattr(train, name), phases=(Phase(1, 8, 2, places=places),))
        monkeypatch.setattr(train, name, config)
    output = tmp_path / "demo"
    runs = 0
    while not output.exists():
        assert main(["--directory", str(tmp_path), "train", "--minutes", "0", "--output", str(output)]) == 0
        runs += 1
        assert runs <= 5
    assert runs == 5
    backbone, _ = load_motion(output / "motion")
    camera = load_camera(output / "camera")
    projection = backbone.encoder.patch_embed.proj
    assert isinstance(projection, torch.nn.Conv3d)
    assert not projection.weight[TEMPORAL_CHANNELS].any()
    both = torch.load(tmp_path / "both.pt", weights_only=True)["average"]
    calibrated = calibrate(both, Clips(shards).shards)
    assert camera.labels == list(LABELS)
    classifier = camera.network.network.classifier
    assert isinstance(classifier, torch.nn.Linear)
    assert classifier.bias.tolist() == pytest.approx(calibrated["classifier.bias"].tolist(), abs=1e-3)
