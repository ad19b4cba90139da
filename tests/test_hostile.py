"""Hundreds of hostile files through the real server, and a good one between them; thousands in `make test-all`."""

import itertools
import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from fixtures.synthetic import encode
from server import Server
from tests.fuzz import mutations
from tests.processes import stubs
from tests.test_ensemble import infer

GOOD_EVERY = 25
CALLERS = 6
MODELS = ("video_sampling", "video_decode", "motion_backbone", "motion_head", "camera_classifier")


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two outputs are equal; some are NaN."""
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


@pytest.mark.parametrize("files", [50, pytest.param(2000, marks=pytest.mark.slow)])
def test_hostile_files_get_scores_or_a_sentence_and_good_ones_between_them_the_right_scores(
    files: int, server: Server
) -> None:
    good = encode(60)
    expected = infer(server, good)
    processes = {model: stubs(server.process.pid, model) for model in MODELS}
    source = itertools.islice(mutations(random.Random(files)), files)
    lock = threading.Lock()
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []

    def ask(number: int) -> None:
        with grpc.InferenceServerClient(server.url) as triton:
            for count in itertools.count(number):
                with lock:
                    name, video = next(source, ("", None))
                if video is None:
                    return
                tensor = grpc.InferInput("VIDEO", [1, len(video)], "UINT8")
                tensor.set_data_from_numpy(np.frombuffer(video, np.uint8)[None])
                # The two networks in turn: running both would take twice as long.
                output = ("MOTION_SCORES", "CAMERA_PROBABILITIES")[count % 2]
                requested = [grpc.InferRequestedOutput(output)]
                try:
                    answer = triton.infer("video_motion", [tensor], outputs=requested, client_timeout=60)
                    outcome = "scored"
                    if not np.isfinite(answer.as_numpy(output)).all():
                        wrong.append(f"{name}: {answer.as_numpy(output)}")
                except InferenceServerException as error:
                    outcome = str(error.status())
                    message = error.message().strip()
                    if outcome != "StatusCode.INVALID_ARGUMENT" or "\n" in message or len(message) > 400:
                        wrong.append(f"{name}: {outcome} {message}")
                with lock:
                    outcomes[outcome] += 1
                if count % GOOD_EVERY == 0:
                    after = infer(server, good)
                    if not all(same(expected[output], after[output]) for output in expected):
                        wrong.append(f"after {name}: the good video has other answers")

    with ThreadPoolExecutor(CALLERS) as pool:
        for asked in [pool.submit(ask, number) for number in range(CALLERS)]:
            asked.result()
    assert wrong == []
    assert sum(outcomes.values()) == files
    # Some files are scored and some refused; if all were, the test would show little.
    assert min(outcomes["scored"], outcomes["StatusCode.INVALID_ARGUMENT"]) > files // 10
    assert {model: stubs(server.process.pid, model) for model in MODELS} == processes


def test_the_same_seed_gives_the_same_files() -> None:
    def first(files: Iterator[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        return list(itertools.islice(files, 20))

    assert first(mutations(random.Random(3))) == first(mutations(random.Random(3)))
