"""`python -m bench.capacity`, and the table of docs/gpu.md that it prints."""

import re
from pathlib import Path

import pytest

from bench import capacity
from bench.cited import HOPPER
from bench.markdown import number, span

PAGE = Path(__file__).parent.parent / "docs" / "gpu.md"


def rows_of(text: str) -> list[list[str]]:
    """The cells of a table in Markdown, without the line of dashes."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in [lines[0], *lines[2:]]]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[tuple[str, str], dict[str, str]]:
    """The rows that the command prints, by video and codec."""
    assert capacity.main(list(arguments)) == 0
    header, *rows = rows_of(capsys.readouterr().out)
    return {(row[0], row[1]): dict(zip(header, row, strict=True)) for row in rows}


def test_the_table_of_the_page_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert capacity.main([]) == 0
    section = PAGE.read_text().partition("\n## Capacity\n")[2].partition("\n## ")[0]
    tables = [match[0] for match in re.finditer(r"(?:^\|.*\n)+", section, re.MULTILINE)]
    (table,) = (table for table in tables if table.startswith("| video |"))
    assert rows_of(table) == rows_of(capsys.readouterr().out)


def test_the_page_names_the_rates_that_the_command_starts_from() -> None:
    section = PAGE.read_text().partition("\n## Capacity\n")[2].partition("\n## ")[0]
    for rate in HOPPER:
        row = next(line for line in section.splitlines() if line.startswith(f"| NVDEC, {rate.codec},"))
        assert f" {rate.measured_fps:,.0f} " in row
        assert f" {rate.promised_streams * 30:,} " in row
        assert f"{rate.promised_streams} streams" in row
    for kind in ("measured", "cited", "computed"):
        assert kind in section.lower()


def test_capacity_is_bounded_by_the_slower_of_networks_and_decoders(capsys: pytest.CaptureFixture[str]) -> None:
    # 5 s: (4 * 5 // 16 + 1) segments, and clips of 0-2, 2-4 and, because half a clip is left, 3-5 s
    of_five_seconds = capacity.cost(5, 30)
    assert (of_five_seconds.frames, of_five_seconds.segments, of_five_seconds.clips) == (150, 2, 3)
    assert of_five_seconds.flop == pytest.approx(2 * 361e9 + 3 * 1194e9, rel=0.01)
    rows = printed(capsys, "--tflops", "430", "--decode-fps", "3000")
    small, large = rows["360p, 5 s", "any"], rows["1080p, 5 s", "any"]
    assert small["networks, videos/s"] == "99.9"  # 430 TFLOP/s by 4.3 TFLOP
    assert (small["NVDEC, videos/s"], large["NVDEC, videos/s"]) == ("180", "20")  # a ninth of the pixels
    assert (small["bound by"], large["bound by"]) == ("networks", "NVDEC")
    assert large["GPU hours for 1,000,000"] == "13.9"  # 1e6 / 20 / 3600
    assert large["for 1,000,000,000"] == "13,900"


def test_both_bounds_are_carried_to_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    rows = printed(capsys, "--tflops", "215", "430", "--decode-fps", "300", "30000")
    large = rows["1080p, 5 s", "any"]
    assert large["networks, videos/s"] == "50 to 99.9"
    assert large["NVDEC, videos/s"] == "2 to 200"
    assert large["bound by"] == "NVDEC (low), networks (high)"
    assert large["GPU hours for 1,000,000"] == "2.78 to 139"


def test_stripping_leaves_fewer_frames_to_decode(capsys: pytest.CaptureFixture[str]) -> None:
    whole = printed(capsys, "--decode-fps", "3000")["1080p, 60 s", "any"]
    half = printed(capsys, "--decode-fps", "3000", "--decoded-share", "0.5")["1080p, 60 s", "any"]
    assert (whole["NVDEC, videos/s"], half["NVDEC, videos/s"]) == ("1.67", "3.33")
    assert half["frames"] == "1,800"


def test_smaller_frames_than_measured_are_not_taken_to_be_faster() -> None:
    h264 = HOPPER[0]
    assert h264.bounds(640 * 360) == (1002, pytest.approx(170 * 30 * 9))
    assert h264.bounds(1920 * 1080) == (pytest.approx(1002 / 1.44), 5100)


@pytest.mark.parametrize(
    "arguments",
    [["--tflops", "480", "400"], ["--tflops", "1", "2", "3"], ["--decode-fps", "0"], ["--decoded-share", "1.5"]],
)
def test_a_wrong_rate_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        capacity.main(arguments)
    assert f"{arguments[0]}" in capsys.readouterr().err.splitlines()[-1]


def test_numbers_have_three_digits() -> None:
    assert [number(value) for value in (0.01234, 9.999, 99.94, 99.96, 12345, 1e9)] == [
        "0.0123", "10", "99.9", "100", "12,300", "1,000,000,000",
    ]  # fmt: skip
    assert (span(1.0, 1.001), span(1.0, 2.0)) == ("1", "1 to 2")
