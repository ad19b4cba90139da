"""A learned filter: XGBoost's own JSON, which names features, weights and versions in its attributes."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xgboost
from numpy.typing import NDArray

from .._tables.columns import is_failed, scores_of
from .._tables.replace import replacing
from .._tables.table import Metadata
from .errors import LearnError
from .features import feature_names, features_of

VERSION = 1
"""Of the attribute; another version is refused."""
ATTRIBUTE = "video_motion"
_NETWORKS = ("motion", "camera")


@dataclass(frozen=True)
class Origin:
    """What a filter was learned from."""

    weights: dict[str, str]
    """The weights of the networks `motion` and `camera` behind the table."""
    labels: tuple[str, ...]
    """The table's camera labels."""
    answers: dict[str, int] = field(default_factory=dict)
    """How many answers of `yes` and of `no`."""
    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    """The figures of cross-validation."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of this client and of xgboost."""


class LearnedFilter:
    """Says of each row how probable it is that it is worth keeping."""

    def __init__(self, booster: xgboost.Booster, origin: Origin) -> None:
        self.booster = booster
        self.origin = origin
        self.features: list[str] = list(booster.feature_names or ())

    def save(self, path: Path) -> None:
        """Write the file whole or not at all. Raises OSError."""
        self.booster.set_attr(**{ATTRIBUTE: json.dumps({"version": VERSION} | asdict(self.origin))})
        with replacing(path) as partial:
            partial.write_bytes(bytes(self.booster.save_raw("json")))

    @classmethod
    def load(cls, path: Path) -> "LearnedFilter":
        """Read a file that `save` wrote. Raises `LearnError`."""
        booster = xgboost.Booster()
        try:
            content = path.read_bytes()
            json.loads(content)  # XGBoost aborts on some content that is no JSON
            booster.load_model(bytearray(content))
            attribute = booster.attr(ATTRIBUTE)
        except OSError as error:
            raise LearnError(f"cannot read {path}: {error.strerror or error}") from error
        except (ValueError, RecursionError, xgboost.core.XGBoostError) as error:
            raise LearnError(f"{path} is not a learned filter: it is not a model in XGBoost's JSON") from error
        if attribute is None or not booster.feature_names:
            raise LearnError(f"{path} is not a learned filter: it does not name its features and weights")
        return cls(booster, _origin(path, attribute))

    def check(self, schema: pa.Schema, metadata: Metadata, table: Path) -> None:
        """Raise `LearnError` unless the table has the features, from the same weights."""
        if not metadata.weights:
            raise LearnError(f"{table} does not say which weights its scores come from, so the filter may not fit")
        for network in dict.fromkeys((*_NETWORKS, *self.origin.weights)):
            learned, given = self.origin.weights.get(network), metadata.weights.get(network)
            if learned != given:
                raise LearnError(
                    f"the filter was learned from scores of {learned} ({network}), and {table} has scores of {given}: "
                    "learn it again"
                )
        if absent := sorted(set(self.features) - set(feature_names(schema, metadata))):
            names = ", ".join(absent[:5])
            raise LearnError(f"{table} lacks what the filter was learned from ({names}): score with the same signals")

    def probabilities(self, batch: pa.RecordBatch, metadata: Metadata) -> NDArray[np.float32]:
        """(rows,) float32 of a batch; NaN for rows without scores."""
        features = features_of(batch, metadata, self.features)
        said = self.booster.predict(xgboost.DMatrix(features, feature_names=self.features))
        return np.where(is_failed(batch, scores_of(batch)), np.nan, said).astype(np.float32)

    def importance(self) -> dict[str, float]:
        """The share of each feature that is used in the total gain of all splits, largest first."""
        gains: Mapping[str, Any] = self.booster.get_score(importance_type="total_gain")
        total = sum(gains.values()) or 1.0
        return dict(sorted(((name, gain / total) for name, gain in gains.items()), key=lambda item: -item[1]))


def _origin(path: Path, attribute: str) -> Origin:
    try:
        content = json.loads(attribute)
        if content["version"] != VERSION:
            raise LearnError(f"{path} was written by another version of this client: learn the filter again")
        known = {name: content[name] for name in Origin.__dataclass_fields__}
        return Origin(**known | {"labels": tuple(content["labels"])})
    except (ValueError, KeyError, TypeError) as error:
        raise LearnError(f"{path} is not a learned filter: its attributes have another form") from error
