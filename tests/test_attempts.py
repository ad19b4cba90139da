"""How a request is retried, without a server and with a simulated clock."""

import pytest
from tritonclient.utils import InferenceServerException

from client._sdk.attempts import LOST_REQUESTS, RetryPolicy, attempts
from client._sdk.balance import Ask, Balancer, Pause, Probe
from client._sdk.triton_errors import from_triton
from client.errors import DeadlineExceeded, InvalidRequest, ServerAway, ServerError, ServerUnavailable


class World:
    """Simulated servers that answer or fail as the test says, and a clock that only pauses advance."""

    def __init__(self, *urls: str, retries: int = 3, away_seconds: float = 30.0) -> None:
        self.seconds = 100.0
        self.balancer = Balancer(urls, clock=lambda: self.seconds)
        self.policy = RetryPolicy(retries, away_seconds)
        self.failing: dict[str, list[Exception]] = {url: [] for url in urls}
        """Errors of each server for its next requests; it answers once the list is empty."""
        self.not_ready: set[str] = set()
        self.asked: list[str] = []
        self.probed: list[str] = []
        self.pauses: list[float] = []

    def ask(self) -> str:
        steps = attempts(self.balancer, self.policy)
        step = next(steps)
        while True:
            try:
                if isinstance(step, Pause):
                    self.seconds += step.seconds
                    self.pauses.append(step.seconds)
                    step = next(steps)
                elif isinstance(step, Probe):
                    self.probed.append(step.endpoint.url)
                    step = steps.send(step.endpoint.url not in self.not_ready)
                else:
                    url = step.endpoint.url
                    self.asked.append(url)
                    failures = self.failing[url]
                    step = steps.throw(failures.pop(0)) if failures else steps.send(f"answer of {url}")
            except StopIteration as end:
                return end.value


def test_the_server_with_the_least_in_flight_is_asked() -> None:
    balancer = Balancer(["a", "b", "c"])
    first = [balancer.next() for _ in range(6)]
    asked = [step.endpoint for step in first if isinstance(step, Ask)]
    assert [endpoint.url for endpoint in asked] == ["a", "b", "c", "a", "b", "c"]
    balancer.release(asked[1])
    step = balancer.next()
    assert isinstance(step, Ask)
    assert step.endpoint.url == "b"


def test_a_server_that_goes_away_is_stood_in_for_at_once_and_taken_back_when_it_is_ready() -> None:
    world = World("a", "b")
    world.failing["a"] = [ServerAway("gone")]
    world.not_ready = {"a"}
    assert world.ask() == "answer of b"
    assert world.pauses == []
    world.seconds += 1
    assert world.ask() == "answer of b"
    assert world.probed == ["a"]
    world.seconds += 1
    world.not_ready = set()
    assert {world.ask() for _ in range(4)} == {"answer of a", "answer of b"}
    assert world.probed == ["a", "a"]


def test_a_server_that_never_answered_is_not_waited_for() -> None:
    world = World("a", "b")
    world.failing = {"a": [ServerAway("refused")], "b": [ServerAway("refused")]}
    with pytest.raises(ServerAway, match="none of the 2 servers answers; one of them: refused"):
        world.ask()
    assert world.asked == ["a", "b"]


def test_a_server_that_says_that_a_part_of_it_is_away_is_waited_for_from_the_first_request_on() -> None:
    world = World("a")
    world.failing["a"] = [ServerAway("a process died", partial_outage=True), ServerAway("gone"), ServerAway("gone")]
    assert world.ask() == "answer of a"
    assert len(world.pauses) == 3


@pytest.mark.parametrize(
    ("status", "message", "partial_outage"),
    [
        ("INTERNAL", "Stub process 'motion_backbone_0_0' is not healthy.", True),
        ("UNAVAILABLE", "connection attempt failed: Connection refused", False),
    ],
)
def test_only_a_server_can_say_that_a_part_of_it_is_away(status: str, message: str, partial_outage: bool) -> None:
    error = from_triton(InferenceServerException(message, status=f"StatusCode.{status}"), "here:1")
    assert isinstance(error, ServerAway)
    assert error.partial_outage is partial_outage


def test_a_server_that_got_too_many_pings_is_asked_again_at_once() -> None:
    world = World("a")
    world.failing["a"] = [ServerAway("Too many pings", too_many_pings=True)]
    assert world.ask() == "answer of a"
    assert (world.asked, world.pauses) == (["a", "a"], [])
    world = World("a", away_seconds=10)
    world.failing["a"] = [ServerAway("Too many pings", too_many_pings=True)] * 100
    with pytest.raises(ServerAway, match="Too many pings"):
        world.ask()


@pytest.mark.parametrize(
    ("message", "too_many_pings", "held"),
    [("Too many pings", True, False), ("GOAWAY; Debug Text: too_many_pings", True, False), ("GOAWAY", False, True)],
)
def test_a_connection_that_ended_for_its_pings_is_no_lost_request(
    message: str, too_many_pings: bool, held: bool
) -> None:
    error = from_triton(InferenceServerException(message, status="StatusCode.UNAVAILABLE"), "here:1")
    assert isinstance(error, ServerAway)
    assert (error.too_many_pings, error.held_request) == (too_many_pings, held)


def test_servers_that_have_answered_are_waited_for_and_not_longer_than_said() -> None:
    world = World("a", away_seconds=10)
    assert world.ask() == "answer of a"
    world.failing["a"] = [ServerAway("gone")] * 5
    assert world.ask() == "answer of a"
    assert len(world.pauses) == 5
    world.failing["a"] = [ServerAway("gone")] * 100
    before = world.seconds
    with pytest.raises(ServerAway, match=r"^gone$"):
        world.ask()
    assert 10 <= world.seconds - before < 12


def test_a_full_queue_is_asked_again_with_longer_and_longer_pauses() -> None:
    error = ServerUnavailable("Exceeds maximum queue size")
    world = World("a", retries=4)
    world.failing["a"] = [error] * 4
    assert world.ask() == "answer of a"
    assert len(world.pauses) == 4
    assert all(0.125 * 2**index <= pause <= 0.25 * 2**index for index, pause in enumerate(world.pauses))
    world.failing["a"] = [error] * 5
    with pytest.raises(ServerUnavailable, match="queue"):
        world.ask()


def test_a_deadline_is_given_one_more_chance_elsewhere() -> None:
    world = World("a", "b")
    world.failing = {"a": [DeadlineExceeded("no answer")] * 2, "b": []}
    assert world.ask() == "answer of b"
    world = World("a")
    world.failing["a"] = [DeadlineExceeded("no answer")] * 2
    with pytest.raises(DeadlineExceeded):
        world.ask()
    assert world.asked == ["a", "a"]


def test_another_server_is_asked_where_one_has_no_room() -> None:
    world = World("a", "b")
    world.failing["a"] = [ServerUnavailable("Exceeds maximum queue size")]
    assert world.ask() == "answer of b"
    assert len(world.pauses) == 1


@pytest.mark.parametrize("error", [InvalidRequest("the file is empty"), ServerError("the decoder crashed")])
def test_what_is_wrong_with_the_video_is_not_asked_again(error: Exception) -> None:
    world = World("a", "b")
    world.failing["a"] = [error]
    with pytest.raises(type(error)):
        world.ask()
    assert world.asked == ["a"]


def test_a_video_that_servers_die_of_is_given_up() -> None:
    world = World("a", "b")
    world.ask()
    for url in "ab":
        world.failing[url] = [ServerAway("closed", held_request=True)] * 10
    with pytest.raises(ServerError, match=f"{LOST_REQUESTS} servers went down while they had this video"):
        world.ask()
    assert len(world.asked) == 1 + LOST_REQUESTS


def test_no_place_is_kept_by_a_request_that_is_given_up() -> None:
    balancer = Balancer(["a"])
    steps = attempts(balancer, RetryPolicy(3, 30))
    next(steps)
    assert balancer.endpoints[0].in_flight == 1
    steps.close()
    assert balancer.endpoints[0].in_flight == 0
