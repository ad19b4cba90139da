"""Rendered clips move as their labels and displacements say."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from training.camera import camera_path
from training.light import Light
from training.moves import DIRECTIONS, LABELS, Kind, Move, Moves, draw_moves
from training.renderer import Clip, Shot, draw_clip
from training.scene import Scene, Surface, TexturePool
from training.truth import displacement, magnitudes, rates

SIZE = (160, 96)
FRAMES = 16
SECONDS = 2.0
NEAR, FAR = 0, 1


@pytest.fixture(scope="module")
def textures() -> TexturePool:
    return TexturePool.draw(np.random.default_rng(3), 12)


def steady(frames: int = FRAMES) -> Light:
    return Light(np.zeros((frames, 3)), np.zeros(frames), np.zeros(frames, np.int64))


def two_walls(moves: Moves, textures: TexturePool) -> Clip:
    """A wall at z = 1 in the left half of the world, in front of one at z = 4; the centre of an arc is at z = 2."""
    width, height = SIZE
    times, focal = np.arange(FRAMES) / FRAMES, 1.2 * width
    surfaces = []
    for depth, texture in zip((4.0, 1.0), textures.textures, strict=False):
        texel = depth / focal
        mask = None
        if depth == 1:
            mask = np.zeros((512, 512), np.uint8)
            mask[:, :256] = 255
        origin = np.array([-256 * texel, -256 * texel, depth])
        surfaces.append(Surface(texture, mask, origin, np.array([texel, 0, 0]), np.array([0, texel, 0]), depth))
    camera = camera_path(moves, times, SECONDS, SIZE, focal, subject_depth=2.0)
    homographies = [surface.homographies(camera) for surface in surfaces]
    inverses = [np.linalg.inv(each) for each in homographies]
    shot = Shot(Scene(surfaces, 2.0), homographies, homographies, inverses, inverses)
    return Clip(moves, SECONDS, FRAMES, width, height, [shot], steady(), 0.0, 0)


def seen(kind: str, speed: float, textures: TexturePool) -> tuple[np.ndarray, np.ndarray]:
    """(points, 2) positions relative to the middle, and (points, 2) their displacements between two frames."""
    clip = two_walls(Moves((Move(kind, speed),)), textures)
    line = np.linspace(0.1, 0.9, 9)
    points = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    return points - 0.5, displacement(clip, 7, 8, points).total


@pytest.mark.parametrize(
    ("label", "axis", "sign"),
    [
        ("pan_left", 0, 1), ("pan_right", 0, -1), ("tilt_up", 1, 1), ("tilt_down", 1, -1),
        ("truck_left", 0, 1), ("truck_right", 0, -1), ("pedestal_up", 1, 1), ("pedestal_down", 1, -1),
    ],
)  # fmt: skip
def test_the_picture_moves_the_other_way(label: str, axis: int, sign: int, textures: TexturePool) -> None:
    kind = label.partition("_")[0]
    move = Move(kind, 0.2 if DIRECTIONS[kind][1] == label else -0.2)
    assert move.label == label
    where, moved = seen(kind, move.speed, textures)
    assert (moved[:, axis] * sign > 0).all()
    near, far = (np.abs(moved[half, axis]).mean() for half in (where[:, 0] < -0.05, where[:, 0] > 0.05))
    if kind in ("pan", "tilt"):
        assert near == pytest.approx(far, rel=0.1)
        assert near == pytest.approx(0.2 * SECONDS / FRAMES, rel=0.15)
    else:
        assert near > 3 * far


def test_a_camera_that_rolls_left_sees_the_picture_turn_clockwise(textures: TexturePool) -> None:
    where, moved = seen("roll", 0.3, textures)
    pixels, way = where * SIZE, moved * SIZE
    turned = pixels[:, 0] * way[:, 1] - pixels[:, 1] * way[:, 0]  # rows count down: clockwise is positive
    assert Move("roll", 0.3).label == "roll_left"
    off_centre = np.linalg.norm(pixels, axis=1) > 5
    assert (turned[off_centre] > 0).all()


def test_a_zoom_magnifies_all_depths_equally_and_a_dolly_near_ones_more(textures: TexturePool) -> None:
    for kind, label in (("zoom", "zoom_in"), ("dolly", "dolly_in")):
        assert Move(kind, 0.3).label == label
        where, moved = seen(kind, 0.3, textures)
        away = (where * moved).sum(1) / (where**2).sum(1).clip(1e-9)
        near, far = (away[half].mean() for half in (where[:, 0] < -0.05, where[:, 0] > 0.05))
        assert far > 0
        assert near == pytest.approx(far, rel=0.05) if kind == "zoom" else near > 3 * far


def test_in_an_arc_nearer_and_farther_things_move_in_opposite_directions(textures: TexturePool) -> None:
    assert Move("arc", -0.3).label == "arc_left"
    where, moved = seen("arc", -0.3, textures)
    assert (moved[where[:, 0] < -0.05, 0] > 0).all()
    assert (moved[where[:, 0] > 0.05, 0] < 0).all()


def test_points_keep_their_colour_along_their_displacements(textures: TexturePool) -> None:
    rng = np.random.default_rng(8)
    followed: list[float] = []
    in_place: list[float] = []
    while len(followed) < 12:
        clip = draw_clip(rng, textures, frames_per_second=8, size=(160, 120))
        clip = replace(clip, light=steady(clip.frames), grain=0.0)
        frames = [cv2.GaussianBlur(frame, (0, 0), 1).astype(np.float32) for frame in clip.render()]
        points = rng.uniform(0.1, 0.9, (400, 2))
        moved = displacement(clip, 5, 6, points).total
        before, after = (each * (160, 120) - 0.5 for each in (points, points + moved))
        kept = ((after > 2) & (after < (157, 117))).all(1) & (np.linalg.norm(after - before, axis=1) > 2)
        if kept.sum() > 50:
            colours = [
                cv2.remap(frame, x, y, cv2.INTER_LINEAR)
                for frame, at in ((frames[5], before), (frames[6], after), (frames[6], before))
                for x, y in [at[kept].astype(np.float32).T[..., None]]
            ]
            followed.append(np.abs(colours[0] - colours[1]).mean())
            in_place.append(np.abs(colours[0] - colours[2]).mean())
    assert np.mean(followed) < 0.4 * np.mean(in_place)


@pytest.mark.parametrize("kind", [*DIRECTIONS, "shake", "static", "undefined"])
def test_labels_follow_from_the_moves(kind: Kind) -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        labels = draw_moves(rng, kind).labels
        assert labels <= set(LABELS)
        assert kind in {label.partition("_")[0] for label in labels}
        if kind in ("static", "undefined"):
            assert labels == {kind}


def test_a_move_that_stops_is_undefined_and_makes_no_progress_after_that() -> None:
    moves = Moves(before=(Move("pan", 0.2),), change=0.5)
    ((_, progress),) = moves.progress(np.linspace(0, 1, 11))
    assert moves.labels == {"undefined"}
    assert (np.diff(progress)[:5] > 0).all()
    assert (np.diff(progress)[5:] == 0).all()


def test_rates_are_those_of_camera_objects_and_light(textures: TexturePool) -> None:
    frames = np.arange(FRAMES)
    still, slow, fast = (
        rates(two_walls(Moves((Move("pan", speed),) if speed else ()), textures), frames) for speed in (0, 0.05, 0.2)
    )
    assert still == pytest.approx(np.zeros(3), abs=1e-9)
    assert slow[0] == pytest.approx(0.05, rel=0.1)
    assert fast[0] == pytest.approx(0.2, rel=0.1)
    assert slow[1] == fast[1] == 0
    middle = rates(two_walls(Moves((Move("pan", 0.05),)), textures), frames, np.array([0.5, 1]))
    assert middle == pytest.approx([0.1, 0, 0], rel=0.1)  # relative to half the width it is twice as fast
    cut = two_walls(Moves(), textures)
    cut = replace(cut, shots=cut.shots * 2, light=replace(cut.light, shot=(frames > 8).astype(np.int64)))
    assert rates(cut, frames)[2] == pytest.approx(1 / (SECONDS * 15 / 16))
    assert (magnitudes(np.zeros(3)) == 0).all()
    assert (magnitudes(np.full(3, 1e3)) <= 3).all()


@pytest.mark.slow
def test_only_moving_surfaces_count_as_objects(textures: TexturePool) -> None:
    rng = np.random.default_rng(2)
    clips = [draw_clip(rng, textures, kind="static", frames_per_second=8, size=SIZE) for _ in range(25)]
    for clip in clips:
        moves = any(surface.moves for shot in clip.shots for surface in shot.scene.surfaces)
        own = rates(clip, np.arange(clip.frames))[1]
        assert moves or own == 0
    assert np.mean([rates(clip, np.arange(clip.frames))[1] > 0 for clip in clips]) > 0.5


def test_the_same_seed_renders_the_same_frames(textures: TexturePool) -> None:
    one, other = (draw_clip(np.random.default_rng(5), textures, frames_per_second=8, size=SIZE) for _ in range(2))
    assert all((a == b).all() for a, b in zip(one.render(), other.render(), strict=True))
