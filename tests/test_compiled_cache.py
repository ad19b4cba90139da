"""Compiled networks are used again only by the same OpenVINO, on the same CPU, for the same network."""

import os
from pathlib import Path

import pytest

from backends.compiled_cache import describe_cpu, prepare_cache

CPU = """processor\t: 0
vendor_id\t: GenuineIntel
model\t\t: 207
cpu MHz\t\t: 2100.000
flags\t\t: avx512f avx512_vnni

processor\t: 1
vendor_id\t: another
"""


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "model_int8.xml"
    for file in (path, path.with_suffix(".bin")):
        file.write_text("network")
        os.utime(file, (1000, 1000))
    return path


def compiled(folder: Path, time: float = 2000) -> Path:
    path = folder / "one.blob"
    path.write_text("compiled")
    os.utime(path, (time, time))
    return path


def test_each_openvino_and_each_cpu_has_a_folder_of_its_own(network: Path, tmp_path: Path) -> None:
    first = prepare_cache(tmp_path / "cache", network, "2026.1", "cpu a")
    kept = compiled(first)
    assert prepare_cache(tmp_path / "cache", network, "2026.1", "cpu a") == first
    others = [prepare_cache(tmp_path / "cache", network, *key) for key in (("2026.2", "cpu a"), ("2026.1", "cpu b"))]
    assert len({first, *others}) == 3
    assert kept.exists()  # a repository may be served on several machines


@pytest.mark.parametrize("changed", [".xml", ".bin"])
def test_a_network_that_was_written_later_is_compiled_again(changed: str, network: Path, tmp_path: Path) -> None:
    kept = compiled(prepare_cache(tmp_path / "cache", network, "2026.1", "cpu"))
    prepare_cache(tmp_path / "cache", network, "2026.1", "cpu")
    assert kept.exists()
    os.utime(network.with_suffix(changed), (3000, 3000))
    prepare_cache(tmp_path / "cache", network, "2026.1", "cpu")
    assert not kept.exists()


def test_a_cache_that_cannot_be_made_is_an_error(network: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(NotADirectoryError):
        prepare_cache(tmp_path / "cache", network, "2026.1", "cpu")


def test_a_cpu_is_told_by_its_instructions_and_not_by_its_clock(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(CPU)
    said = describe_cpu(tmp_path / "cpuinfo")
    assert said == "vendor_id:GenuineIntel\nmodel:207\nflags:avx512f avx512_vnni"
    assert describe_cpu(tmp_path / "missing") == ""
    assert describe_cpu()
