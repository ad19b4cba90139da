"""The 8-bit networks of an export, through a server."""

from pathlib import Path

import numpy as np
import pytest

from client import Client
from export.networks import export_networks
from server import Settings, running
from tests.conftest import copy_repository


@pytest.mark.slow
def test_8_bit_networks_are_served_and_removed_by_the_next_export(
    tiny_checkpoints: tuple[Path, Path], reference_videos: dict[str, Path], tmp_path: Path
) -> None:
    repository = copy_repository(tmp_path / "model_repository")
    sources = str(tiny_checkpoints[0]), str(tiny_checkpoints[1])
    video = reference_videos["carphone_pristine"]
    export_networks(*sources, repository, report=lambda _: None, calibration_videos=[video])
    scores = {}
    for precision in ("f32", "int8"):
        with running(Settings.on_free_ports(repository, precision=precision)) as server, Client(server.url) as client:
            scores[precision] = client.score(video)
            assert scores[precision].weights.precision == precision
    motion = [list(vars(score.motion).values()) for score in scores.values()]
    camera = [[list(clip.probabilities.values()) for clip in score.camera] for score in scores.values()]
    for exact, rounded in (motion, camera):
        assert exact != rounded  # equal if the 8-bit networks did not run
        np.testing.assert_allclose(rounded, exact, atol=0.1)
    export_networks(*sources, repository, report=lambda _: None)
    assert not list(repository.rglob("model_int8*"))
