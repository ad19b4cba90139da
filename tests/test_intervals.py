"""Neighbouring clips merged into intervals."""

from client._sdk.result import CameraClip
from client.intervals import TableClip, camera_intervals, label_seconds


def intervals(*clips: tuple[float, float, list[str]]) -> list[str]:
    return [str(interval) for interval in camera_intervals(TableClip(*clip) for clip in clips)]


def test_neighbours_with_the_same_label_merge() -> None:
    assert intervals((0, 2, ["pan_left"]), (2, 4, ["pan_left"]), (4, 6, ["static"])) == [
        "pan_left 0.0-4.0 s",
        "static 4.0-6.0 s",
    ]


def test_labels_merge_each_for_itself() -> None:
    assert intervals((0, 2, ["pan_left", "pov"]), (2, 4, ["pov"]), (4, 6, ["pov", "pan_left"])) == [
        "pan_left 0.0-2.0 s",
        "pov 0.0-6.0 s",
        "pan_left 4.0-6.0 s",
    ]


def test_clips_that_overlap_are_neighbours() -> None:
    assert intervals((0, 2, ["track"]), (2, 4, ["track"]), (3.2, 5.2, ["track"])) == ["track 0.0-5.2 s"]
    assert intervals((0, 6, ["track"]), (1, 2, ["track"]), (5, 6, ["track"])) == ["track 0.0-6.0 s"]


def test_clips_with_a_gap_between_them_are_not_neighbours() -> None:
    assert intervals((0, 2, ["track"]), (10, 12, ["track"])) == ["track 0.0-2.0 s", "track 10.0-12.0 s"]


def test_float32_times_of_clips_that_touch_are_near_enough() -> None:
    assert intervals((0, 2.0020001, ["track"]), (2.0020020, 4.004, ["track"])) == ["track 0.0-4.0 s"]


def test_clips_come_in_any_order_and_may_have_no_label() -> None:
    assert intervals((4, 6, ["static"]), (2, 4, []), (0, 2, ["static"])) == ["static 0.0-2.0 s", "static 4.0-6.0 s"]
    assert intervals() == []


def test_clips_of_a_score_merge_as_those_of_a_table_do() -> None:
    clips = [CameraClip(0, 2, {"zoom_in": 0.7, "pov": 0.2}), CameraClip(2, 4, {"zoom_in": 0.6, "pov": 0.9})]
    assert list(map(str, camera_intervals(clips))) == ["zoom_in 0.0-4.0 s", "pov 2.0-4.0 s"]


def test_a_label_holds_for_the_sum_of_its_intervals() -> None:
    clips = [TableClip(0, 2, ["a"]), TableClip(2, 4, ["b"]), TableClip(4, 6, ["a"]), TableClip(6, 7, ["c"])]
    assert label_seconds(camera_intervals(clips)) == {"a": 4, "b": 2, "c": 1}
