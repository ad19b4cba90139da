"""A small run of `bench.embeddings`: the client's memory does not grow with the number of videos."""

from pathlib import Path

import pytest

from bench import embeddings

FEW, MANY = 100, 300
FRAMES, WIDTH = 100, 512
MIB_OF_EMBEDDINGS = MANY * FRAMES * WIDTH * 4 / 2**20
"""59 MiB, and 39 more than for few."""


@pytest.mark.heavy
@pytest.mark.slow
def test_memory_stays_where_it_is_while_tables_grow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    peaks = []
    with embeddings.embedder(FRAMES, WIDTH) as url:
        for videos in (FEW, MANY):
            cost, output = embeddings.score(url, tmp_path, videos, FRAMES, "float32")
            peaks.append(cost.peak_mib)
            assert output.stat().st_size > 0.8 * videos * FRAMES * WIDTH * 4
    assert peaks[1] - peaks[0] < MIB_OF_EMBEDDINGS / 4


@pytest.mark.slow
def test_every_reader_finds_all_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--videos", "30", "--few", "10", "--frames", "5", "--width", "8", "--directory", str(tmp_path)]
    for dtype in ("float32", "float16"):
        assert embeddings.main([*arguments, "--embeddings-dtype", dtype]) == 0
        assert "training.heads" in capsys.readouterr().out
