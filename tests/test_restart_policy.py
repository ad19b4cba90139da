"""When tritonserver is restarted, and when the server gives up."""

import signal

import pytest

from server import restart_policy
from server.restart_policy import DEATHS_SECONDS, DeathLimit, StartPolicy


def test_an_idle_start_is_restarted_once() -> None:
    policy = StartPolicy(idle_timeout_seconds=30)
    assert not policy.restart_idle(30)
    assert policy.restart_idle(31)
    assert not policy.restart_idle(100)


def test_a_start_that_loses_its_port_is_restarted_twice() -> None:
    policy = StartPolicy(idle_timeout_seconds=30)
    assert [policy.restart_on_other_ports() for _ in range(3)] == [True, True, False]


def test_a_start_that_crashes_is_restarted_twice() -> None:
    policy = StartPolicy(idle_timeout_seconds=30)
    assert [policy.restart_crashed(-signal.SIGABRT) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("status", [0, 1, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, signal.SIGABRT])
def test_a_start_that_ends_otherwise_is_not_restarted(status: int) -> None:
    assert not StartPolicy(idle_timeout_seconds=30).restart_crashed(status)


@pytest.mark.parametrize(
    ("times", "limits"),
    [
        ([0, 1, 2], [False, False, True]),
        ([0, 1, DEATHS_SECONDS], [False, False, False]),
        ([0, DEATHS_SECONDS, DEATHS_SECONDS + 1, DEATHS_SECONDS + 2], [False, False, False, True]),
    ],
)
def test_the_third_death_within_the_time_is_the_last(
    times: list[float], limits: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    deaths = DeathLimit()
    assert not deaths.any
    reached = []
    for time in times:
        monkeypatch.setattr(restart_policy.time, "monotonic", lambda time=time: time)
        reached.append(deaths.count())
        assert deaths.any
    assert reached == limits
