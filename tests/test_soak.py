"""A soak with attackers: the comparison of its phases, with invented requests, and the attackers, without a server."""

import time
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench import attackers
from bench.attackers import Attackers
from bench.phases import MAX_LOG_BYTES, attack_in_turn, compare, side
from server.ports import LOOPBACK, free_ports
from server.proxy import Proxy
from tests.fake_triton import fake_triton
from tests.tunnels import Reader, Tunnel, Writer, listening

SECONDS = 60.0
"""Six phases of 10 s."""


def request(began: float, seconds: float, kind: str = "good", outcome: str = "scored") -> SimpleNamespace:
    return SimpleNamespace(at_seconds=began + seconds, seconds=seconds, kind=kind, outcome=outcome)


def soak(*requests: SimpleNamespace, memory_mib: list[tuple[float, float]] | None = None) -> Any:
    return SimpleNamespace(requests=requests, memory_mib=memory_mib or [(at, 100.0) for at in range(60)])


def verdicts(of: Any, log_bytes: int = 0) -> dict[str, bool]:
    found: dict[str, bool] = {}

    def verdict(what: str, _: str, kept: bool) -> bool:
        found[what] = kept
        return kept

    compare(side(of, SECONDS, attacked=False), side(of, SECONDS, attacked=True), log_bytes, verdict)
    return found


def test_a_request_belongs_to_the_phase_in_which_it_began() -> None:
    requests = [request(9.0, 5.0), request(12.5, 1.0), request(22.5, 1.0), request(13.0, 1.0, kind="bad")]
    requests += [request(11.5, 1.0), request(21.5, 1.0)]  # while the phase settles
    asked = soak(*requests)
    assert side(asked, SECONDS, attacked=False).good == [requests[0], requests[2]]
    assert side(asked, SECONDS, attacked=True).good == [requests[1]]


@pytest.mark.parametrize(
    ("broken", "changes"),
    [
        ("", {}),
        ("p99", {"late": 2.1}),
        ("good", {"outcome": "ServerUnavailable"}),
        ("memory", {"last_mib": 106.0}),
        ("log", {"log_bytes": MAX_LOG_BYTES + 1}),
    ],
)
def test_each_bound_is_checked(broken: str, changes: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    late, outcome = changes.get("late", 1.9), changes.get("outcome", "scored")
    memory = [(float(at), changes.get("last_mib", 104.0) if at >= 50 else 100.0) for at in range(60)]
    asked = soak(request(3.0, 1.0), request(13.0, late, outcome=outcome), memory_mib=memory)
    found = verdicts(asked, changes.get("log_bytes", 0))
    assert {what for what, kept in found.items() if not kept} == ({broken} if broken else set())
    assert set(found) == {"good", "p99", "memory", "log"}
    assert "good callers' p99, s" in capsys.readouterr().out


def test_a_soak_without_answers_keeps_no_bound_by_chance() -> None:
    assert not verdicts(soak())["p99"]


def test_attacks_are_every_second_phase() -> None:
    now = SimpleNamespace(elapsed_seconds=0.0)
    attacks: list[tuple[float, float]] = []

    def attack(seconds: float) -> None:
        attacks.append((round(now.elapsed_seconds, 3), round(seconds, 3)))
        now.elapsed_seconds += seconds + 0.01

    attack_in_turn(cast(Any, now), 0.06, lambda seconds: attack(seconds))
    assert len(attacks) == 3
    assert all(0 <= seconds <= 0.02 for _, seconds in attacks)


class Listener(Tunnel):
    """Takes whatever is sent."""

    received = 0
    """Bytes so far."""

    async def accept(self, reader: Reader, _: Writer) -> None:
        while data := await reader.read(65536):
            self.received += len(data)


@pytest.mark.heavy
def test_every_kind_of_attacker_attacks_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attackers, "IDLE_CONNECTIONS", 2)
    counts: Counter[str] = Counter()
    (grpc_port,) = free_ports(LOOPBACK, 1)
    with fake_triton() as (triton, upstream), listening(listener := Listener()) as port:
        proxy = Proxy(LOOPBACK, grpc_port, f"{LOOPBACK}:{upstream}")
        ports = SimpleNamespace(grpc_port=grpc_port, http_port=port, metrics_port=port)
        addresses, slot = set(), proxy.queue.slot

        def noted_slot(caller: str, address: str) -> Any:
            addresses.add(address)
            return slot(caller, address)

        monkeypatch.setattr(proxy.queue, "slot", noted_slot)
        started = time.monotonic()
        try:
            Attackers(cast(Any, ports), b"bomb", b"good", counts).attack(1.5)
        finally:
            proxy.close()
        took = time.monotonic() - started
    assert 1.5 <= took < 10
    assert counts["idle connections"] >= 6
    assert counts["slow calls"] >= attackers.SLOW_CONNECTIONS * attackers.SLOW_CALLS
    assert counts["endless bodies"] >= attackers.ENDLESS_BODIES
    assert listener.received > 500_000
    assert counts["bombs"] > 0
    assert counts["cancelled calls"] > 0
    assert triton.asked > 0
    assert addresses == {attackers.ADDRESS}
