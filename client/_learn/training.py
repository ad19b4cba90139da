"""Learning a filter from answers: gradient-boosted trees, cross-validated."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold, train_test_split

from .._counted import counted
from .answers import LEAST_ANSWERS
from .errors import LearnError
from .threshold import Threshold, best_threshold

FOLDS = 5
MAX_TREES = 500
PATIENCE = 25
"""Training stops if so many trees in a row have not made the validation loss smaller."""
_SHARE_FOR_STOPPING = 0.25
_SETTINGS: dict[str, Any] = {
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "tree_method": "hist",
    "max_depth": 3,
    "eta": 0.1,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "min_child_weight": 1,
    "lambda": 1.0,
    "nthread": 1,
}
"""Shallow trees, of which each sees a part: answers are few, and more threads would only wait for each other."""


@dataclass(frozen=True)
class Learned:
    """A booster, and what was said of each answer by one that had not seen it."""

    booster: xgboost.Booster
    """Trained on all answers, with the median number of trees of the folds."""
    trees: int
    """That number."""
    held_out: NDArray[np.float32]
    """(answers,) probability of yes."""
    threshold_held_out: NDArray[np.bool_]
    """(answers,) what the best single threshold of the other folds says."""
    threshold: Threshold
    """The best single threshold of all answers."""


def learn(features: NDArray[np.float32], keep: NDArray[np.bool_], names: list[str], seed: int = 0) -> Learned:
    """Learn from (answers, features) float32 and (answers,) bool. Raises `LearnError` if there is too little."""
    check_answers(int(keep.sum()), int((~keep).sum()))
    held_out = np.empty(len(keep), np.float32)
    simple = np.empty(len(keep), np.bool_)
    trees: list[int] = []
    for train, test in _folds(features, keep, seed):
        booster = _stopped_early(features[train], keep[train], names, seed)
        trees.append(booster.best_iteration + 1)
        data = xgboost.DMatrix(features[test], feature_names=names)
        held_out[test] = booster.predict(data, iteration_range=(0, trees[-1]))
        simple[test] = best_threshold(features[train], keep[train]).keeps(features[test])
    count = int(np.median(trees))
    whole = xgboost.DMatrix(features, keep, feature_names=names)
    booster = xgboost.train(_settings(seed), whole, count)
    return Learned(booster, count, held_out, simple, best_threshold(features, keep))


def check_answers(yes: int, no: int) -> None:
    """Raise `LearnError` if a filter cannot be learned from so many answers."""
    if yes + no < LEAST_ANSWERS:
        are = "is" if yes + no == 1 else "are"
        answers = f"{counted(yes + no, 'answer')} about scored rows of the table"
        raise LearnError(f"there {are} {answers}, and {LEAST_ANSWERS} are needed")
    if not yes or not no:
        raise LearnError(f"every answer is {'yes' if yes else 'no'}: a filter needs examples of both")
    if min(yes, no) < FOLDS:
        word = "yes" if yes < no else "no"
        are = "is" if min(yes, no) == 1 else "are"
        raise LearnError(
            f"only {counted(min(yes, no), 'answer')} {are} {word}, and {FOLDS} are needed, one for each fold"
        )


def _folds(
    features: NDArray[np.float32], keep: NDArray[np.bool_], seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    yield from StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(features, keep)


def _stopped_early(
    features: NDArray[np.float32], keep: NDArray[np.bool_], names: list[str], seed: int
) -> xgboost.Booster:
    """A booster that stops by answers of its own, which are not those it is judged by."""
    train, stop = train_test_split(
        np.arange(len(keep)), test_size=_SHARE_FOR_STOPPING, random_state=seed, stratify=keep
    )
    matrices = [xgboost.DMatrix(features[rows], keep[rows], feature_names=names) for rows in (train, stop)]
    return xgboost.train(
        _settings(seed),
        matrices[0],
        MAX_TREES,
        evals=[(matrices[1], "stop")],
        early_stopping_rounds=PATIENCE,
        verbose_eval=False,
    )


def _settings(seed: int) -> dict[str, Any]:
    return _SETTINGS | {"seed": seed}
