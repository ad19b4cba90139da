"""The colors of DALI's decoder on a CPU, beside the cpu profile's: what agrees is what `dali_converts_alike` says."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nvidia.dali", reason="`make test` installs DALI")

from bench.gpu.decoding import both_decoders
from fixtures.colors import KINDS, blocks_video
from tests.test_colors import colors, colors_of_blocks
from tests.test_dali import definition
from video import Parameters
from video.colors import dali_converts_alike

READ = [name for name, kind in KINDS.items() if kind.codec in ("libvpx", "libvpx-vp9", "mjpeg")]
REPEATS = ("vp9 bt709", "vp9 bt2020", "vp9 10-bit bt2020")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in REPEATS else ()) for name in READ]
)
def test_colors_are_those_of_the_cpu_profile(name: str, tmp_path: Path) -> None:
    video = blocks_video(name)
    _, found, expected = both_decoders(video, definition(tmp_path, 224), "cpu", 224, Parameters())
    difference = np.abs(colors_of_blocks(found[0]) - colors_of_blocks(expected[0])).mean()
    print(f"{name}: {difference:.2f} of 255")
    assert (difference < 1) == dali_converts_alike(colors(video), device="cpu")
    assert difference < 2


def test_all_but_ten_bits_in_full_range_agree() -> None:
    assert [name for name in READ if not dali_converts_alike(colors(blocks_video(name)), device="cpu")] == [
        "vp9 10-bit full"
    ]
