"""How a request is retried, the same for both clients: a generator yields the steps, the clients carry them out."""

import random
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from ..errors import ClientError, DeadlineExceeded, ServerAway, ServerError, ServerUnavailable
from .balance import Ask, Balancer, Endpoint, Nowhere, Pause, Probe

PROBE_SECONDS = 5.0
"""How long a server may take to say that it is ready."""
PROBES = 2
"""A probe that times out on an old connection is repeated on a new one."""
LOST_REQUESTS = 3
"""A request is given up after this many servers went down while they held it: it may be the cause."""
DEADLINE_RETRIES = 1
"""Only one: a deadline is long, and a call that passes it is cancelled, which can crash Triton 2.51."""
FIRST_BACKOFF_SECONDS = 0.25
LONGEST_BACKOFF_SECONDS = 10.0

Step = Ask | Probe | Pause
"""What to send back: the server's answer (`Ask`), whether it is ready (`Probe`), None (`Pause`); or throw the error."""


@dataclass(frozen=True)
class RetryPolicy:
    """How long a client keeps trying."""

    retries: int
    """How often to send a request again if the queue is full or no answer came in time."""
    away_seconds: float
    """How long all servers may be unreachable, if one of them has answered before."""


def attempts(balancer: Balancer, policy: RetryPolicy) -> Generator[Step, Any, Any]:
    """The steps of one request. Returns the answer, or raises the error of the last try.

    An error in the request itself is raised at once. If a server becomes unreachable, another one takes over.
    """
    retries = lost = deadlines = 0
    pings_refused = False
    unreachable_since: float | None = None
    full: Endpoint | None = None
    while True:
        step = balancer.next(avoid=full)
        if isinstance(step, Pause):
            yield step
            continue
        if isinstance(step, Nowhere):
            raise ServerAway(step.reason)
        if isinstance(step, Probe):
            ready = False
            try:
                ready = yield step
            finally:
                (balancer.mark_ready if ready else balancer.mark_unreachable)(step.endpoint)
            continue
        endpoint, pause = step.endpoint, None
        try:
            answer = yield step
        except ServerAway as error:
            if error.too_many_pings and not pings_refused:  # the next connection sends none
                pings_refused = True
                balancer.mark_answered(endpoint)
                continue
            balancer.mark_unreachable(endpoint, partial_outage=error.partial_outage)
            lost += error.held_request
            if lost == LOST_REQUESTS:
                sentence = f"{lost} servers went down while they had this video"
                raise ServerError(sentence, reason="server_died") from error
            unreachable_since = unreachable_since or balancer.clock()
            patient = balancer.has_answered and balancer.clock() < unreachable_since + policy.away_seconds
            if not patient and not balancer.any_healthy:
                raise _of_all(balancer, error) from error
        except (ServerUnavailable, DeadlineExceeded) as error:
            late = isinstance(error, DeadlineExceeded)
            deadlines += late
            if late and len(balancer.endpoints) > 1:
                balancer.mark_unreachable(endpoint)  # it may hang: probe it before it gets another request
            if retries == policy.retries or deadlines > DEADLINE_RETRIES:
                raise
            full, pause = endpoint, _backoff(retries)
            retries += 1
        except ClientError:
            balancer.mark_answered(endpoint)
            raise
        else:
            balancer.mark_answered(endpoint)
            return answer
        finally:
            balancer.release(endpoint)
        if pause:
            yield pause


def _backoff(retries: int) -> Pause:
    longest = min(FIRST_BACKOFF_SECONDS * 2**retries, LONGEST_BACKOFF_SECONDS)
    return Pause(longest * random.uniform(0.5, 1.0))


def _of_all(balancer: Balancer, error: ServerAway) -> ServerAway:
    count = len(balancer.endpoints)
    if count == 1:
        return error
    return ServerAway(f"none of the {count} servers answers; one of them: {error}", partial_outage=error.partial_outage)
