"""`python -m bench.learned`: a filter that learned from 100 answers, beside the best single threshold.

The answers follow a rule that is known: two measures of the table, and a move that the renderer made. Both learn from
the same 100 answers, drawn at random, and judge all other clips. Clips are rendered with seeds and photographs that the
demo's networks, which score them, never saw. They are kept in .bench/learned: run it again after an interruption. A
folder that other code or other networks made is refused.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from bench.demo_scores import ROOT, score_clips
from bench.kept_run import OtherRun, kept_run, made_by
from bench.markdown import table
from client._learn.features import feature_names, features_of
from client._learn.threshold import best_threshold
from client._learn.training import learn
from client._tables.table import read_batches, read_metadata, table_schema
from training.moves import Kind
from training.renderer import draw_clip
from training.scene import TexturePool

CACHE = ROOT / ".bench" / "learned"
CLIPS = 260
ANSWERS = 100
DRAWS = 12
SEED = 8_000_009
"""Not that of any other rendered clips."""
SECONDS = 2.0
KINDS: tuple[Kind, ...] = ("zoom", "static", "zoom", "pan", "zoom", "tilt", "zoom", "roll")
"""In turn: half of the clips zoom, and half of these zoom in."""
RATE = 8
SIZE = (240, 136)
MOVE = "zoom_in"
LEAST_SHARPNESS = 40.0
LEAST_BRIGHTNESS = 80.0
RULE = f"the camera does not zoom in, sharpness > {LEAST_SHARPNESS:g}, brightness > {LEAST_BRIGHTNESS:g}"
Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class Answered:
    """The rows of a table."""

    features: NDArray[np.float32]
    """(clips, features) of `client._learn.features`."""
    names: list[str]
    """The features."""
    good: Booleans
    """(clips,) what the rule says."""


@dataclass(frozen=True)
class Draw:
    """What was learned from one draw of answers, on the other clips."""

    learned: float
    """Accuracy of the learned filter, at 0.5."""
    auc: float
    """Its area under the ROC curve."""
    simple: float
    """Accuracy of the best single threshold."""
    rule: str
    """That threshold."""


def main(arguments: list[str] | None = None) -> int:
    """Render, score, learn, print; the exit status: 1 if the learned filter is not better on average."""
    parser = argparse.ArgumentParser(prog="python -m bench.learned", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--clips", type=int, default=CLIPS, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--draws", type=int, default=DRAWS, metavar="N", help="of answers (default: %(default)s)")
    parser.add_argument("--directory", type=Path, default=CACHE, metavar="DIR", help="(default: .bench/learned)")
    parser.add_argument(
        "--url", metavar="HOST:PORT", help="a server to ask (default: the demo's networks, in this process)"
    )
    options = parser.parse_args(arguments)
    if options.clips < 2 * ANSWERS:
        parser.error(f"--clips is {options.clips}, it must be at least {2 * ANSWERS}: {ANSWERS} are answered")
    try:
        with kept_run(options.directory, made_by("bench/learned.py")):
            return _run(options)
    except OtherRun as error:
        parser.error(str(error))


def _run(options: argparse.Namespace) -> int:
    cv2.setNumThreads(1)
    labels = write_clips(options.directory / "clips", options.clips)
    scores = options.directory / ("served.jsonl" if options.url else "scores.jsonl")
    if not score_clips(options.directory / "clips", scores, options.url):
        print("bench: some clips could not be scored", file=sys.stderr)
        return 1
    answered = read(scores, labels)
    draws = [draw(answered, number) for number in tqdm(range(options.draws), "draws", disable=None)]
    return report(answered, draws)


def write_clips(directory: Path, count: int) -> dict[str, list[str]]:
    """Write the clips that are not there yet; the true labels of each by its name."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "labels.json"
    labels: dict[str, list[str]] = json.loads(file.read_text()) if file.exists() else {}
    textures = TexturePool.draw(np.random.default_rng([SEED, 0]), 60, unseen=True)
    wanted = [f"{index:05}.mp4" for index in range(count)]
    for index, video in enumerate(tqdm(wanted, "clips", disable=None)):
        if video in labels:
            continue
        kind = cast(Kind, KINDS[index % len(KINDS)])
        rng = np.random.default_rng([SEED, 1, index])
        clip = draw_clip(rng, textures, kind=kind, seconds=SECONDS, frames_per_second=RATE, size=SIZE)
        (directory / video).write_bytes(clip.encode(quality=int(rng.integers(18, 32))))
        labels[video] = sorted(clip.moves.labels)
        file.write_text(json.dumps(labels))
    return {video: labels[video] for video in wanted}


def read(scores: Path, labels: dict[str, list[str]]) -> Answered:
    """The features of the clips with these true labels, and which of them are good."""
    metadata = read_metadata(scores)
    names = feature_names(table_schema(scores, metadata), metadata)
    features: list[NDArray[np.float32]] = []
    good: list[bool] = []
    for batch in read_batches(scores, metadata):
        videos = [Path(video).name for video in batch.column("video").to_pylist()]
        of_these = [video in labels for video in videos]
        features.append(features_of(batch, metadata, names)[np.array(of_these)])
        columns = zip(
            videos, batch.column("sharpness").to_pylist(), batch.column("brightness").to_pylist(), strict=True
        )
        good += [is_good(labels[video], sharp, bright) for video, sharp, bright in columns if video in labels]
    rows = np.concatenate(features)
    used = ~np.isnan(rows).all(axis=0)
    return Answered(rows[:, used], [name for name, is_used in zip(names, used, strict=True) if is_used], np.array(good))


def is_good(labels: list[str], sharpness: float, brightness: float) -> bool:
    """The rule."""
    return MOVE not in labels and sharpness > LEAST_SHARPNESS and brightness > LEAST_BRIGHTNESS


def draw(answered: Answered, seed: int) -> Draw:
    """Learn from `ANSWERS` random answers, judge the others."""
    order = np.random.default_rng([SEED, 2, seed]).permutation(len(answered.good))
    train, test = order[:ANSWERS], order[ANSWERS:]
    features, good = answered.features, answered.good
    learned = learn(features[train], good[train], answered.names, seed)
    said = learned.booster.predict(xgboost.DMatrix(features[test], feature_names=answered.names))
    simple = best_threshold(features[train], good[train])
    side = ">" if simple.keeps_above else "<="
    return Draw(
        learned=float(((said >= 0.5) == good[test]).mean()),
        auc=float(roc_auc_score(good[test], said)),
        simple=float((simple.keeps(features[test]) == good[test]).mean()),
        rule=f"{answered.names[simple.feature]} {side} {simple.cutoff:.3g}",
    )


def report(answered: Answered, draws: list[Draw]) -> int:
    """Print the figures; 0 if the learned filter is better on average, else 1."""
    learned, simple, auc = (np.array([getattr(each, name) for each in draws]) for name in ("learned", "simple", "auc"))
    always = max(answered.good.mean(), 1 - answered.good.mean())
    print(f"rule: {RULE}; {answered.good.mean():.0%} of {len(answered.good)} clips are good")
    rows = [
        ["always the more frequent answer", f"{always:.3f}", "", ""],
        ["best single threshold", *_spread(simple)],
        ["learned filter", *_spread(learned)],
    ]
    print(table((f"accuracy after {ANSWERS} answers", "mean", "least", "most"), rows))
    better = int((learned > simple).sum())
    gain = learned - simple
    half = 1.96 * gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else float("nan")
    print(f"bench: the learned filter is better in {better} of {len(draws)} draws, by {gain.mean():.3f} +- {half:.3f}")
    print(f"bench: its AUC is {auc.mean():.3f}; thresholds: {', '.join(sorted({each.rule for each in draws}))}")
    return 0 if gain.mean() > 0 else 1


def _spread(values: NDArray[np.float64]) -> list[str]:
    return [f"{value:.3f}" for value in (values.mean(), values.min(), values.max())]


if __name__ == "__main__":
    sys.exit(main())
