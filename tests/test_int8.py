"""The 8-bit networks of an export, through a server."""

import json
from pathlib import Path

import numpy as np
import pytest

from client import Client
from export.calibration import divide
from export.int8 import longest
from export.networks import export_networks
from server import Settings, running
from server.stated_error import stated_error
from tests.conftest import copy_repository


@pytest.mark.slow
def test_8_bit_networks_are_served_and_removed_by_the_next_export(
    tiny_checkpoints: tuple[Path, Path], reference_videos: dict[str, Path], tmp_path: Path
) -> None:
    repository = copy_repository(tmp_path / "model_repository")
    sources = str(tiny_checkpoints[0]), str(tiny_checkpoints[1])
    video = reference_videos["carphone_pristine"]
    export_networks(
        *sources,
        repository,
        report=lambda _: None,
        calibration_videos=[reference_videos["bikes"]],
        check_videos=[video],
    )
    scores = {}
    for precision in ("f32", "int8"):
        with running(Settings.on_free_ports(repository, precision=precision)) as server, Client(server.url) as client:
            scores[precision] = client.score(video)
            assert scores[precision].weights.precision == precision
    motion = [np.array(list(vars(score.motion).values())) for score in scores.values()]
    camera = [np.array([list(clip.probabilities.values()) for clip in score.camera]) for score in scores.values()]
    manifest = json.loads((repository / "weights.json").read_text())
    moved = {"motion_backbone": (motion, 3.0), "camera_classifier": (camera, 1.0)}
    for model, ((exact, rounded), largest) in moved.items():
        error = np.abs(exact - rounded).max() / largest
        assert 0 < error < 0.1  # 0 if the 8-bit networks did not run
        assert manifest["int8"][model]["error"] == pytest.approx(error, abs=2e-4)
    assert stated_error(repository) == max(manifest["int8"][model]["error"] for model in moved)
    export_networks(*sources, repository, report=lambda _: None)
    assert not list(repository.rglob("model_int8*"))
    assert "int8" not in json.loads((repository / "weights.json").read_text())


@pytest.mark.parametrize("most", [0, 1, 5, 24])
def test_few_sizes_are_tried_to_find_about_the_longest(most: int) -> None:
    for longest_that_holds in range(most + 1):
        tried: list[int] = []

        def holds(size: int, tried: list[int] = tried, end: int = longest_that_holds) -> bool:
            tried.append(size)
            return size <= end

        found = longest(most, holds)
        assert 0 <= longest_that_holds - found <= most // 4
        assert found in (0, *tried)
        assert len(tried) <= 4


def test_videos_are_held_back_for_the_check() -> None:
    videos = [Path(f"{index}.mp4") for index in range(11)]
    check = [Path("check.mp4")]
    assert divide(videos, check) == (videos, check)
    assert divide(videos[:1], []) == (videos[:1], [])
    assert divide(videos[:2], []) == (videos[:1], videos[1:2])
    seen, unseen = divide(videos, [])
    assert unseen == [videos[4], videos[9]]
    assert sorted(seen + unseen) == sorted(videos)
