"""The losses of training: motion of patches, camera motion of frame pairs, light, labels and scores."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.light import LEVELS, LIGHT
from training.moves import LABELS
from training.network import ROWS, DemoModel
from training.truth import magnitudes

TUBELETS = 8
UNDEFINED = LABELS.index("undefined")
GAIN = 40.0
"""Displacements x are learned as asinh(40 x): precisely if small, roughly if large."""
FINE_GAIN = 300.0
"""The same for fractions of a pixel: one pixel of 112 becomes 1.7, but 0.4 with `GAIN`."""
LIGHT_GAIN = 10.0
LEVEL_GAINS = torch.tensor([1.0, 1.0, 1.0, 3.0])
"""Changes of focus are rarer and smaller than those of brightness."""


def camera_motion_of(motion: Tensor) -> Tensor:
    """(clips, tubelets, 6) camera motion between the frames of each pair, from `motion` (clips, tubelets, 7, 7, 4).

    The best affine fit to the displacements by the camera: shift in x and y, scale, rotation; and the residuals in x
    and y, which show depth. As asinh(40 x); NaN if motion is NaN.
    """
    line = (torch.arange(ROWS) + 0.5) / ROWS - 0.5
    y, x = torch.meshgrid(line, line, indexing="ij")
    basis = torch.stack([torch.ones(ROWS * ROWS), x.flatten(), y.flatten()], dim=1)
    camera = motion[..., 2:].flatten(2, 3)
    fitted = torch.linalg.pinv(basis) @ camera
    residual = (camera - basis @ fitted).square().mean(-2).sqrt()
    growth = (fitted[..., 1, 0] + fitted[..., 2, 1]) / 2
    turn = (fitted[..., 1, 1] - fitted[..., 2, 0]) / 2
    camera_motion = torch.cat([fitted[..., 0, :], growth[..., None], turn[..., None], residual], dim=-1)
    return torch.asinh(camera_motion * GAIN)


def camera_motion_loss(model: DemoModel, tokens: Tensor, embeddings: Tensor, motion: Tensor) -> Tensor:
    """Loss of the camera motion that each token predicts for its pair of frames, and the embedding for the clip."""
    camera_motion = camera_motion_of(motion)
    known = ~camera_motion.isnan().any(-1)
    camera_motion = camera_motion.nan_to_num()
    wanted = camera_motion.repeat_interleave(ROWS * ROWS, dim=1)
    mask = known.repeat_interleave(ROWS * ROWS, dim=1).float()
    each = functional.smooth_l1_loss(model.camera_motion(tokens), wanted, reduction="none", beta=0.3).mean(-1)
    count = known.sum(1, keepdim=True).clamp(min=1)
    mean = (camera_motion * known[..., None]).sum(1) / count
    spread = (((camera_motion - mean[:, None]).square() * known[..., None]).sum(1) / count).sqrt()
    whole = functional.smooth_l1_loss(
        model.clip_camera_motion(embeddings), torch.cat([mean, spread], dim=-1), reduction="none", beta=0.3
    ).mean(-1)
    seen = known.any(1).float()
    return (each * mask).sum() / mask.sum().clamp(min=1) + (whole * seen).sum() / seen.sum().clamp(min=1)


def motion_loss(model: DemoModel, tokens: Tensor, motion: Tensor) -> Tensor:
    """Loss of the displacements that tokens predict, against `motion` (clips, tubelets, places, 4)."""
    found = model.motion(tokens)
    wanted, known = _of_tokens(tokens, motion)
    own = wanted[..., :2] - wanted[..., 2:]
    target = torch.asinh(torch.cat([wanted[..., 2:], own], dim=-1) * GAIN)
    moves = (own.abs().amax(-1) > 1e-4).float()
    distance = functional.smooth_l1_loss(found[..., :4], target, reduction="none", beta=1.0)
    weights = torch.stack([known.float(), known * (0.3 + 2 * moves)], dim=-1).repeat_interleave(2, dim=-1)
    there = functional.binary_cross_entropy_with_logits(found[..., 4], moves, reduction="none")
    return (distance * weights).sum() / weights.sum() + 0.3 * (there * known).sum() / known.sum()


def fine_loss(model: DemoModel, layers: list[Tensor], motion: Tensor) -> Tensor:
    """Loss of small displacements that tokens predict, against `motion` (clips, tubelets, places, 4).

    The second of `layers` predicts the total displacement. The last one predicts the displacements by the camera and by
    the object itself, and the length of the latter; the loss of the length is nearly quadratic, so that the mean over
    tokens is right. As asinh(300 x), because objects move by a pixel of 112 or less in most pairs of frames.
    """
    wanted, known = _of_tokens(layers[-1], motion)
    own = wanted[..., :2] - wanted[..., 2:]
    moves = (own.abs().amax(-1) > 1e-4).float()
    found = model.fine_motion(layers[-1])
    seen, camera, itself, length = (
        torch.asinh(FINE_GAIN * each)
        for each in (wanted[..., :2], wanted[..., 2:], own, own.norm(dim=-1, keepdim=True))
    )
    differences = [
        functional.smooth_l1_loss(model.early_flow(layers[1]), seen, reduction="none", beta=0.3).mean(-1),
        functional.smooth_l1_loss(found[..., :2], camera, reduction="none", beta=0.3).mean(-1),
        functional.smooth_l1_loss(found[..., 2:4], itself, reduction="none", beta=0.3).mean(-1) * (0.3 + 2 * moves),
        functional.smooth_l1_loss(found[..., 4:], length, reduction="none", beta=3.0).mean(-1),
    ]
    return (torch.stack(differences).sum(0) * known).sum() / known.sum().clamp(min=1)


def light_loss(model: DemoModel, tokens: Tensor, light: Tensor, tubelets: Tensor) -> Tensor:
    """Loss of the light's changes that tokens predict, against `light` (clips, 15, 5).

    A token predicts the changes between the two frames of its pair and, if the clip has all pairs, from the frame
    before the pair. As asinh(10 x), with a nearly quadratic loss: most changes are hard to see, and their median is 0.
    """
    between = functional.pad(light[:, 1::2], (0, 0, 1, 0))
    wanted = torch.asinh(torch.cat([light[:, 0::2], between], dim=-1)[:, tubelets] * LIGHT_GAIN)
    found = model.light(tokens).unflatten(1, (len(tubelets), -1))
    distance = functional.smooth_l1_loss(found, wanted[:, :, None].expand_as(found), reduction="none", beta=2.0)
    return distance[..., : None if len(tubelets) == TUBELETS else LIGHT].mean()


def level_loss(model: DemoModel, layers: list[Tensor], light: Tensor, tubelets: Tensor) -> Tensor:
    """Loss of a pair's brightness and blur relative to the clip's mean, against `light` (clips, 15, 5).

    A blur changes too little from pair to pair to be seen, but enough over the clip. Both the last of `layers` and the
    second one predict it; for the second, the mean over all tokens is subtracted from the prediction. Clips with cuts
    do not count, because each scene has its own brightness.
    """
    level = functional.pad(light[..., :LEVELS], (0, 0, 1, 0)).cumsum(1)
    wanted = (level[:, 0::2] + level[:, 1::2])[:, tubelets]
    wanted = (wanted - wanted.mean(1, keepdim=True)) * LEVEL_GAINS
    early = model.early_levels(layers[1])
    found = torch.stack([model.levels(layers[-1]), early - early.mean(1, keepdim=True)])
    found = found.unflatten(2, (len(tubelets), -1))
    distance = functional.smooth_l1_loss(found, wanted[None, :, :, None].expand_as(found), reduction="none", beta=2.0)
    whole = (light[..., LEVELS] == 0).all(1).float()
    return (distance.sum(0).mean((1, 2, 3)) * whole).sum() / whole.sum().clamp(min=1)


def amount_loss(model: DemoModel, tokens: Tensor, motion: Tensor, light: Tensor, tubelets: Tensor) -> Tensor:
    """Loss of each token's contribution to the three scores.

    The contributions are the displacements at the token by the camera and by objects, and the changes of light in its
    pair and before it. An embedding is a mean over tokens, so it then holds the rates behind the scores. The loss is
    nearly quadratic, so that predictions are means: a median would be 0 for rare motion.
    """
    moved, known = _of_tokens(tokens, motion)
    steps = torch.cat([light[..., :3].abs().mean(-1, keepdim=True), light[..., 3:].abs()], dim=-1).sum(-1)
    changes = (steps[:, 0::2] + functional.pad(steps[:, 1::2], (1, 0)))[:, tubelets]
    changes = changes.repeat_interleave(tokens.shape[1] // len(tubelets), dim=1)
    lengths = [moved[..., 2:].norm(dim=-1), (moved[..., :2] - moved[..., 2:]).norm(dim=-1)]
    wanted = torch.stack([*(GAIN * length for length in lengths), LIGHT_GAIN / 2 * changes], dim=-1).clamp(max=6)
    weights = torch.stack([known, known, torch.full_like(known, len(tubelets) == TUBELETS)], dim=-1).float()
    distance = functional.smooth_l1_loss(model.amounts(tokens), wanted, reduction="none", beta=3.0)
    return (distance * weights).sum() / weights.sum().clamp(min=1)


def label_loss(logits: Tensor, labels: Tensor, tubelets: int, positive_weight: float = 1.0) -> Tensor:
    """Binary cross entropy; true labels have `positive_weight`. Parts of `undefined` clips do not count."""
    weight = torch.full_like(logits[0], positive_weight)
    loss = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none", pos_weight=weight)
    if tubelets < TUBELETS:
        loss = loss * (1 - labels[:, UNDEFINED : UNDEFINED + 1])
    return loss.sum(1).mean()


def score_loss(model: DemoModel, embeddings: Tensor, rates: Tensor, segments: int) -> Tensor:
    """Binary cross entropy of the scores of videos that are made of `segments` clips each."""
    videos, mean = _videos(embeddings, rates, segments)
    wanted = torch.from_numpy(magnitudes(mean.numpy()).astype(np.float32)) / 3
    return functional.binary_cross_entropy_with_logits(model.scores(videos), wanted)


def rank_loss(model: DemoModel, embeddings: Tensor, rates: Tensor, segments: int) -> Tensor:
    """Pairwise ranking loss: of two of these videos, the one with the higher rate should have the higher score.

    Pairs are weighted by their difference in rank, as in a rank correlation, not in magnitude: half of the clips have
    no object motion or dynamics, and many others little (C. Burges et al., Learning to rank using gradient descent,
    2005).
    """
    videos, mean = _videos(embeddings, rates, segments)
    scores = model.scores(videos)
    higher = (mean[:, None] > mean[None]).float()
    ranks = higher.sum(1)
    apart = (ranks[:, None] - ranks[None]).clamp(min=0)
    unlikely = functional.softplus(scores[None] - scores[:, None])
    return (unlikely * apart).sum() / apart.sum().clamp(min=1)


def _of_tokens(tokens: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
    """`motion` (clips, tubelets, places, 4) as (clips, tokens, 4), 0 across cuts; and (clips, tokens) whether known."""
    moved = motion.reshape(*tokens.shape[:2], 4)
    return moved.nan_to_num(), ~moved.isnan().any(-1)


def _videos(embeddings: Tensor, rates: Tensor, segments: int) -> tuple[Tensor, Tensor]:
    count = len(embeddings) // segments * segments
    return embeddings[:count].unflatten(0, (-1, segments)), rates[:count].unflatten(0, (-1, segments)).mean(1)
