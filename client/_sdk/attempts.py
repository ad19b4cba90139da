"""How a request is tried until it is answered, the same for both clients: they do what the generator yields."""

import random
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from ..errors import ClientError, DeadlineExceeded, ServerAway, ServerError, ServerUnavailable
from .balance import Ask, Balancer, Endpoint, Pause, Probe

PROBE_SECONDS = 5.0
"""How long a server may take to say that it is ready."""
LOST_REQUESTS = 3
"""A request that so many servers died with is given up: it may be why."""
DEADLINE_RETRIES = 1
"""A deadline is long already, and a call that is given up can be the end of Triton 2.51."""
FIRST_BACKOFF_SECONDS = 0.25
LONGEST_BACKOFF_SECONDS = 10.0

Step = Ask | Probe | Pause
"""To be answered with the server's answer, with whether it is ready, or with nothing; or an exception thrown in."""


@dataclass(frozen=True)
class Patience:
    """How long a client puts up with what passes."""

    retries: int
    """How often a request is sent again where the queue is full or no answer came in time."""
    away_seconds: float
    """How long every server may be away, one of them having answered before."""


def attempts(balancer: Balancer, patience: Patience) -> Generator[Step, Any, Any]:
    """Steps to take for one request; returns the answer, or raises what the last try ended with.

    What is wrong with the request itself is raised at once, and a server that goes away is stood in for by another.
    """
    retries = lost = deadlines = 0
    away_since: float | None = None
    full: Endpoint | None = None
    while True:
        step = balancer.next(avoid=full)
        if isinstance(step, Pause):
            yield step
            continue
        if isinstance(step, Probe):
            ready = False
            try:
                ready = yield step
            finally:
                (balancer.is_ready if ready else balancer.went_away)(step.endpoint)
            continue
        endpoint, pause = step.endpoint, None
        try:
            answer = yield step
        except ServerAway as error:
            balancer.went_away(endpoint, says_so=error.says_so)
            lost += error.held_request
            if lost == LOST_REQUESTS:
                raise ServerError(f"servers went away {lost} times while they had this video") from error
            away_since = away_since or balancer.clock()
            patient = balancer.has_answered and balancer.clock() < away_since + patience.away_seconds
            if not patient and not balancer.any_healthy:
                raise _of_all(balancer, error) from error
        except (ServerUnavailable, DeadlineExceeded) as error:
            late = isinstance(error, DeadlineExceeded)
            deadlines += late
            if late and len(balancer.endpoints) > 1:
                balancer.went_away(endpoint)  # it may hang; the next request for it asks first
            if retries == patience.retries or deadlines > DEADLINE_RETRIES:
                raise
            full, pause = endpoint, _backoff(retries)
            retries += 1
        except ClientError:
            balancer.answered(endpoint)
            raise
        else:
            balancer.answered(endpoint)
            return answer
        finally:
            balancer.release(endpoint)
        if pause:
            yield pause


def _backoff(retries: int) -> Pause:
    longest = min(FIRST_BACKOFF_SECONDS * 2**retries, LONGEST_BACKOFF_SECONDS)
    return Pause(longest * random.uniform(0.5, 1.0))


def _of_all(balancer: Balancer, error: ServerAway) -> ServerAway:
    if len(balancer.endpoints) == 1:
        return error
    return ServerAway(f"none of the {len(balancer.endpoints)} servers answers; of one of them: {error}")
