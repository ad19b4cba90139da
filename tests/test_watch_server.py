"""`watch` with a real server: the clips of a file have the probabilities that `score` gives."""

from pathlib import Path

import numpy as np
import pytest

from client import Client, Score
from client.watch import Watch, WatchedClip
from fixtures.synthetic import encode


def compared(client: Client, path: Path) -> tuple[list[WatchedClip], Score]:
    with Watch(client, path, clip_seconds=1.2, stride_seconds=0.5) as watch:
        clips = list(watch)
    return clips, client.score(path, clip_seconds=1.2, clip_stride_seconds=0.5)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        # 4.08 s: the last clip is aligned to the end.
        ("video.mp4", lambda: encode(102, width=320, height=240)),
        ("turned.mov", lambda: encode(102, rotation_degrees=90, container="mov")),
        ("uneven.mkv", lambda: encode(60, container="matroska", pts=[i + i // 7 * 3 for i in range(60)])),
        ("video.ts", lambda: encode(60, container="mpegts")),
        ("short.mp4", lambda: encode(20)),
    ],
)
def test_clips_of_a_file_are_those_of_score(client: Client, tmp_path: Path, name: str, content) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / name
    path.write_bytes(content())
    clips, score = compared(client, path)
    spans = [(clip.start_seconds, clip.end_seconds) for clip in clips]
    assert np.allclose(spans, [(clip.start_seconds, clip.end_seconds) for clip in score.camera], atol=1e-5)
    for clip, expected in zip(clips, score.camera, strict=True):
        assert clip.probabilities == pytest.approx(expected.probabilities, abs=0.01)
        assert clip.weights == score.weights
        assert clip.actions is None
    if len(clips) > 1:
        assert clips[0].probabilities != pytest.approx(score.camera[-1].probabilities, abs=1e-4)
