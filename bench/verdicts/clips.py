"""Clips of known kinds, and which presets and verdicts are true of each.

The truth is that of the renderer: the camera moves, or a thing does, from a magnitude of `training.truth` of 0.5 on.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.encoding import encode
from training.light import Light
from training.moves import Kind
from training.renderer import Clip, Shot, draw_clip
from training.scene import Scene, TexturePool
from training.truth import magnitudes, rates
from video.clips import CLIP_FRAMES
from video.sampling import evenly_spread

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]
SEED = 7_000_003
"""Not that of any other rendered clips."""
SECONDS = 3.0
RATES = (8, 12)
SIZES = ((240, 136), (192, 144))
MOVES = 0.5
"""A magnitude from 0 to 3; the cut-off of the preset `static`, too."""
FAST = 2.5
"""The same of the preset `chaotic`."""
PLANE: tuple[Kind, ...] = ("pan", "tilt", "roll", "zoom")
EVERY: tuple[Kind, ...] = (*PLANE, "truck", "pedestal", "dolly", "arc", "shake")
TRUTH = "truth.jsonl"


@dataclass(frozen=True)
class Made:
    """A clip."""

    frames: Iterable[Picture]
    """(height, width, 3) uint8 RGB, with even sides."""
    truth: frozenset[str]
    """Which presets and verdicts should take it."""


@dataclass(frozen=True)
class Stage:
    """What the scenes of one clip have in common."""

    rng: np.random.Generator
    textures: TexturePool
    rate: int
    """Frames per second."""
    size: tuple[int, int]
    """Width and height."""

    def clip(self, kind: Kind | None = None) -> Clip:
        """A random clip of one shot in steady light."""
        clip = draw_clip(
            self.rng, self.textures, kind=kind, seconds=SECONDS, frames_per_second=self.rate, size=self.size
        )
        return replace(clip, light=steady(clip.frames), shots=clip.shots[:1])

    def one_of(self, kinds: tuple[Kind, ...]) -> Clip:
        """The same of one of these moves."""
        return self.clip(kinds[self.rng.integers(len(kinds))])

    def busy(self) -> Clip:
        """A clip in which things move, under any camera."""
        return until(self.clip, lambda clip: magnitudes_of(clip)[1] >= MOVES)

    def still_or_busy(self) -> Clip:
        """A clip in which nothing moves, or things."""
        return without_things(self.clip("static")) if self.rng.random() < 0.5 else self.busy()

    def picture(self) -> Picture:
        """One frame."""
        return next(iter(self.clip("static").render()))


def steady(frames: int) -> Light:
    """Light that does not change, in focus, without cuts."""
    return Light(np.zeros((frames, 3)), np.zeros(frames), np.zeros(frames, np.int64))


def until(draw: Callable[[], Clip], is_wanted: Callable[[Clip], bool]) -> Clip:
    """The first drawn clip that is wanted."""
    while not is_wanted(clip := draw()):
        pass
    return clip


def magnitudes_of(clip: Clip) -> Floats:
    """(3,) true magnitudes of camera, things and light, from 0 to 3, as the networks sample the clip."""
    return magnitudes(rates(clip, evenly_spread(0, clip.frames - 1, CLIP_FRAMES)))


def without_things(clip: Clip) -> Clip:
    """The clip without its moving objects."""

    def still(shot: Shot) -> Shot:
        kept = [index for index, surface in enumerate(shot.scene.surfaces) if not surface.moves]
        surfaces = [shot.scene.surfaces[index] for index in kept]
        lists = (shot.homographies, shot.still, shot.inverses, shot.still_inverses)
        return Shot(Scene(surfaces, shot.scene.subject_depth), *([each[index] for index in kept] for each in lists))

    return replace(clip, shots=[still(shot) for shot in clip.shots])


def surfaces_of(clip: Clip) -> int:
    """How many planes its first scene has."""
    return len(clip.shots[0].scene.surfaces)


def _lit(clip: Clip, gains: Floats) -> Clip:
    """The clip with other brightness, (frames,) in stops."""
    return replace(clip, light=replace(clip.light, gains=np.repeat(gains[:, None], 3, axis=1)))


def _flicker(stage: Stage, frames: int, strengths: tuple[float, float]) -> Floats:
    """(frames,) stops: noise of 4 to 12 values a second, at most 0.9 stops brighter."""
    noise = stage.rng.standard_normal(max(2, int(SECONDS * stage.rng.uniform(4, 12))))
    curve = np.interp(np.arange(frames), np.linspace(0, frames - 1, len(noise)), noise)
    return np.clip(curve * stage.rng.uniform(*strengths), -2.2, 0.9)


def _zoomed_still(stage: Stage) -> Made:
    def is_picture(clip: Clip) -> bool:
        return surfaces_of(clip) == 1 and not clip.moves.tremor and magnitudes_of(clip)[0] >= MOVES

    clip = until(lambda: replace(without_things(stage.one_of(PLANE)), grain=0.0), is_picture)
    return Made(clip.render(), frozenset({"zoomed_still", "camera_only"}))


def _camera_only(stage: Stage) -> Made:
    clip = until(
        lambda: without_things(stage.one_of(EVERY)),
        lambda clip: surfaces_of(clip) > 1 and magnitudes_of(clip)[0] >= MOVES,
    )
    return Made(clip.render(), frozenset({"camera_only"}))


def _ordinary(stage: Stage) -> Made:
    return Made(stage.busy().render(), frozenset())


def _objects(stage: Stage) -> Made:
    clip = until(lambda: stage.clip("static"), lambda clip: magnitudes_of(clip)[1] >= MOVES)
    return Made(clip.render(), frozenset())


def _static(stage: Stage) -> Made:
    clip = until(lambda: without_things(stage.clip("static")), lambda clip: magnitudes_of(clip)[0] < MOVES)
    return Made(replace(clip, grain=float(stage.rng.uniform(3, 8))).render(), frozenset({"static"}))


def _chaotic(stage: Stage) -> Made:
    def draw() -> Clip:
        clip = stage.one_of(("shake", "pan", "truck"))
        return _lit(clip, _flicker(stage, clip.frames, (0.4, 0.8)))

    clip = until(draw, lambda clip: bool((magnitudes_of(clip)[[0, 2]] > FAST).all()))
    return Made(clip.render(), frozenset({"chaotic", "flicker"}))


def _flickering(stage: Stage) -> Made:
    clip = stage.still_or_busy()
    return Made(_lit(clip, _flicker(stage, clip.frames, (0.2, 0.6))).render(), frozenset({"flicker"}))


def _fade(stage: Stage) -> Made:
    clip = stage.still_or_busy()
    first, last = map(float, stage.rng.permutation([0.0, -stage.rng.uniform(1, 2)]))
    return Made(_lit(clip, np.linspace(first, last, clip.frames)).render(), frozenset())


def _dark(stage: Stage) -> Made:
    clip = stage.busy()
    return Made(_lit(clip, np.full(clip.frames, -stage.rng.uniform(1.8, 2.4))).render(), frozenset())


def _black_frames(stage: Stage, count: int, noise: float) -> Iterator[Picture]:
    width, height = stage.size
    level = stage.rng.uniform(0, 10)
    for _ in range(count):
        grain = stage.rng.normal(0, noise, (height, width, 1)) if noise else np.zeros((height, width, 1))
        yield np.repeat(np.clip(level + grain, 0, 22), 3, axis=2).astype(np.uint8)


def _black(stage: Stage) -> Made:
    noise = float(stage.rng.choice([0.0, 3.0]))
    frames = _black_frames(stage, round(SECONDS * stage.rate), noise)
    return Made(frames, frozenset({"black", "static", *([] if noise else ["frozen"])}))


def _half_black(stage: Stage) -> Made:
    frames = list(stage.busy().render())
    black = round(len(frames) * stage.rng.uniform(0.3, 0.8))
    return Made([*_black_frames(stage, black, 3.0), *frames[black:]], frozenset())


def _frozen(stage: Stage) -> Made:
    return Made([stage.picture()] * round(SECONDS * stage.rate), frozenset({"frozen", "static"}))


def _half_frozen(stage: Stage) -> Made:
    frames = list(stage.busy().render())
    last = round(len(frames) * stage.rng.uniform(0.25, 0.7))
    return Made([*frames[:last], *[frames[last]] * (len(frames) - last)], frozenset())


def _letterboxed(stage: Stage) -> Made:
    frames = list(stage.busy().render())
    share, level = stage.rng.uniform(0.03, 0.15), stage.rng.integers(0, 12)
    axis = 0 if stage.rng.random() < 0.7 else 1
    wide = max(2, round(frames[0].shape[axis] * share))
    for frame in frames:
        sides = frame if axis == 0 else frame.transpose(1, 0, 2)
        sides[:wide], sides[-wide:] = level, level
    return Made(frames, frozenset({"letterboxed"}))


def _shots(stage: Stage) -> Made:
    clips = [stage.busy() for _ in range(int(stage.rng.integers(2, 5)))]
    starts = np.sort(stage.rng.uniform(0, SECONDS - 0.6 * len(clips), len(clips) - 1)) + 0.6 * np.arange(1, len(clips))
    seconds = np.arange(clips[0].frames) / stage.rate
    light = replace(clips[0].light, shot=np.searchsorted(starts, seconds, side="right"))
    joined = replace(clips[0], shots=[clip.shots[0] for clip in clips], light=light)
    return Made(joined.render(), frozenset({"multi_shot"}))


def _slideshow(stage: Stage) -> Made:
    pictures = [stage.picture() for _ in range(int(stage.rng.integers(3, 6)))]
    held = np.arange(round(SECONDS * stage.rate)) * len(pictures) // round(SECONDS * stage.rate)
    return Made([pictures[index] for index in held], frozenset({"slideshow", "multi_shot"}))


def _dissolve(stage: Stage) -> Made:
    first, second = (list(stage.busy().render()) for _ in range(2))
    length = stage.rng.uniform(0.6, 1.2) * stage.rate
    start = stage.rng.uniform(0.2, 0.8) * (len(first) - length)
    shares = np.clip((np.arange(len(first)) - start) / length, 0, 1)
    mixed = [(a * (1 - s) + b * s).astype(np.uint8) for a, b, s in zip(first, second, shares, strict=True)]
    return Made(mixed, frozenset({"multi_shot"}))


KINDS: dict[str, Callable[[Stage], Made]] = {
    "zoomed still": _zoomed_still,
    "camera only": _camera_only,
    "ordinary": _ordinary,
    "objects": _objects,
    "static": _static,
    "chaotic": _chaotic,
    "flicker": _flickering,
    "fade": _fade,
    "dark": _dark,
    "black": _black,
    "half black": _half_black,
    "frozen": _frozen,
    "half frozen": _half_frozen,
    "letterboxed": _letterboxed,
    "shots": _shots,
    "slideshow": _slideshow,
    "dissolve": _dissolve,
}
"""By name; `docs/measures.md` says what each shows."""


@dataclass(frozen=True)
class Truth:
    """What is known of a written clip."""

    video: str
    """Its name."""
    kind: str
    """A key of `KINDS`."""
    index: int
    """From 0, within its kind."""
    verdicts: frozenset[str]
    """The presets and verdicts that are true of it."""


def write_clips(directory: Path, per_kind: int, seed: int = SEED) -> list[Truth]:
    """Write clips of every kind that are not there yet; what is known of each of them. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / TRUTH
    known = {truth.video: truth for truth in read_truth(file)} if file.exists() else {}
    textures = TexturePool.draw(np.random.default_rng([seed, 0]), 60, unseen=True)
    wanted = [(kind, index) for index in range(per_kind) for kind in KINDS]
    with file.open("a") as lines:
        for kind, index in tqdm(wanted, "clips", disable=None):
            video = f"{kind.replace(' ', '_')}_{index:04}.mp4"
            if video in known:
                continue
            rng = np.random.default_rng([seed, 1, [*KINDS].index(kind), index])
            rate, size = int(rng.choice(RATES)), SIZES[rng.integers(len(SIZES))]
            made = KINDS[kind](Stage(rng, textures, rate, size))
            (directory / video).write_bytes(encode(made.frames, rate, quality=int(rng.integers(18, 32))))
            known[video] = Truth(video, kind, index, made.truth)
            content = vars(known[video]) | {"verdicts": sorted(made.truth)}
            lines.write(json.dumps(content) + "\n")
            lines.flush()
    return [truth for truth in known.values() if truth.index < per_kind]


def read_truth(file: Path) -> list[Truth]:
    """What `write_clips` wrote down."""
    rows = map(json.loads, file.read_text().splitlines())
    return [Truth(row["video"], row["kind"], row["index"], frozenset(row["verdicts"])) for row in rows]
