"""The model of many GPUs: where the answer is known by other means, it gives that answer."""

from pathlib import Path

import pytest

from bench.scale.__main__ import main
from bench.scale.check import predict
from bench.scale.days import whole_run
from bench.scale.real_run import RealRun, Sample, _Rows
from bench.scale.report import rows
from bench.scale.scenarios import FAILURES
from bench.scale.system import NO_FAILURES, Clip, Failures, Machines
from bench.scale.videos import Outcome, Simulation

CLIP = Clip(megabytes=1.0, decode_seconds=0.7, network_seconds=0.05)


def machines(**others: float) -> Machines:
    numbers: dict[str, float] = {
        "servers": 4, "decoders": 7, "networks": 1, "queue": 64, "readers": 1, "in_flight": 128,
        "reader_megabytes_per_second": 1e6, "storage_megabytes_per_second": 1e6, "storage_seconds": 0.0,
        "driver_videos_per_second": 1e6, "start_seconds": 10.0, "cores": 0,
    }  # fmt: skip
    return Machines(**(numbers | others))  # type: ignore[arg-type]  # numbers of servers are whole


def run(**others: float) -> Outcome:
    return Simulation(CLIP, machines(**others), 3000).run()


@pytest.mark.parametrize(
    ("others", "rate", "bound"),
    [
        ({}, 40.0, "NVDEC"),  # 4 servers of 7 decoders of 0.7 s
        ({"networks": 1, "decoders": 28}, 80.0, "networks"),  # 4 of 0.05 s
        ({"storage_megabytes_per_second": 20.0}, 20.0, "storage"),
        ({"reader_megabytes_per_second": 15.0}, 15.0, "readers"),
        ({"driver_videos_per_second": 10.0}, 10.0, "driver"),
    ],
)
def test_what_binds_gives_the_rate(others: dict[str, float], rate: float, bound: str) -> None:
    outcome = run(**others)
    assert outcome.videos == 3000
    assert outcome.bound_by == bound
    assert outcome.videos_per_second == pytest.approx(rate, rel=0.1)
    assert outcome.busy[bound] > 0.85


def test_a_full_queue_refuses_and_loses_nothing() -> None:
    outcome = run(queue=8, in_flight=64)
    assert outcome.refused > 100
    assert outcome.videos == 3000
    assert run(in_flight=16).refused == 0


def test_a_dead_server_costs_its_share_and_each_video_has_one_row() -> None:
    whole = run()
    middle = 10 + (whole.seconds - 10) / 2
    dead = Simulation(CLIP, machines(), 3000, dead_at=middle, dead_seconds=1e9, notice_seconds=1.0).run()
    assert dead.videos == 3000
    assert 20 < dead.repeated <= 64
    # Three servers do the second half in 4/3 of its time.
    assert dead.seconds - whole.seconds == pytest.approx((whole.seconds - 10) / 6, rel=0.35)


def test_a_whole_run_without_failures_is_a_division() -> None:
    assert whole_run(1e6, 8, 25.0, 24, NO_FAILURES).seconds == pytest.approx(4e4)


def test_a_whole_run_loses_what_failures_take() -> None:
    hourly = Failures(mean_hours=10.0, restart_seconds=1800.0, notice_seconds=0.0)
    result = whole_run(1e8, 64, 1000.0, 24, hourly)
    up = 10 * 3600 / (10 * 3600 + 1800)
    assert result.seconds == pytest.approx(1e5 / up, rel=0.02)
    assert result.failures == pytest.approx(64 * result.seconds / (36000 + 1800), rel=0.15)
    assert result.repeated == result.failures * 24
    assert result.lost_seconds == pytest.approx(result.failures * 1800, rel=0.05)


def test_cores_of_one_machine_are_shared_by_its_servers_and_the_client() -> None:
    assert predict(2000, 0.02, 5.0, 8, cores=2) == pytest.approx(5 + 2000 * 0.02 / 2, rel=0.06)
    assert predict(2000, 0.02, 5.0, 8, 2, 0.01) == pytest.approx(5 + 2000 * 0.03 / 2, rel=0.06)


def test_the_rate_of_a_real_run_is_that_of_its_middle() -> None:
    # 5 s until the first row, 100 rows/s in blocks of 64, each of 0.2 s of CPU, and an end that hangs.
    polled = [seconds / 10 for seconds in range(160)]
    rows = [max(0, int((seconds - 5 + 1e-6) / 0.64)) * 64 for seconds in polled]
    samples = [Sample(at, min(1000, row), row / 320) for at, row in zip(polled, rows, strict=True)]
    run = RealRun(1000, True, 20.0, (*samples, Sample(20.0, 1000)), 0.0, 0.0, 0.0)
    assert run.videos_per_second == pytest.approx(100, rel=0.02)
    assert run.start_seconds == pytest.approx(5, abs=0.15)
    assert run.client_cpu_per_video == pytest.approx(0.2 / 64)
    assert run.end_seconds == pytest.approx(20 - 15.3, abs=0.15)
    few = RealRun(64, True, 3.0, (Sample(1.0, 0), Sample(2.0, 32), Sample(3.0, 64)), 0.0, 0.0, 0.0)
    with pytest.raises(SystemExit, match="64 videos are too few to tell a rate"):
        _ = few.videos_per_second


def test_lines_of_a_table_that_grows_are_counted_once(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    rows = _Rows(path)
    assert rows.count() == 0
    path.write_text("one\ntwo\nthr")
    assert rows.count() == 2
    with path.open("a") as file:
        file.write("ee\n")
    assert rows.count() == 3


def test_more_gpus_take_less_time_and_more_clips_more() -> None:
    found = {(row[0], row[1], row[2]): float(row[4].replace(",", "")) for row in rows((8, 16), (1e6, 1e7), per_gpu=100)}
    assert found["1,000,000", "16", "low"] < 0.6 * found["1,000,000", "8", "low"]
    assert found["10,000,000", "8", "high"] > 9 * found["1,000,000", "8", "high"]
    assert FAILURES.restart_seconds > 0


@pytest.mark.parametrize(
    "arguments", [["check", "--videos", "0"], ["check", "--in-flight", "-1"], ["engines", "--rounds", "0"], ["nothing"]]
)
def test_wrong_arguments_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as status:
        main(arguments)
    assert status.value.code == 2
