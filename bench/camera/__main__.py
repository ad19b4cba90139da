"""`python -m bench.camera DATASET`: how often camera labels are right, on a data set that you have.

DATASET is a directory with CameraBench's test split (test.jsonl and videos/), or a CSV file with the columns video and
label. Each video is cut into clips of --clip-seconds, and its probability of a label is the mean of its clips' (or the
largest, --of-clips max). A label is given from --threshold on. Which label of a data set is which of the classifier's
stands in bench/camera/label_map.json; others are left out, and named.
"""

import argparse
import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench.camera.datasets import Dataset, DatasetError, read_dataset
from bench.camera.figures import FORWARD, LabelFigures, label_figures, mean, taken_for
from bench.camera.scores import NotScored, Scored, score
from bench.markdown import table
from client import Client, ClientError

CACHE = Path(__file__).parent.parent.parent / ".bench" / "camera"
OF_CLIPS = ("mean", "max")


def main(arguments: list[str] | None = None) -> int:
    """Score, compare, print; the exit status: 1 if the data set or the server cannot be used, or a video failed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.camera",
        description=__doc__.partition("\n\n")[2],
        epilog="Options after -- go to client.score, such as -- --url HOST:PORT --in-flight 8. Run the same command "
        "again to resume.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", metavar="DATASET", type=Path)
    parser.add_argument("--url", default="localhost:8001", metavar="HOST:PORT", help="(default: %(default)s)")
    parser.add_argument("--threshold", type=float, default=0.5, metavar="P", help="(default: %(default)s)")
    parser.add_argument("--clip-seconds", type=float, default=2.0, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--of-clips", choices=OF_CLIPS, default="mean", help="(default: %(default)s)")
    parser.add_argument("--output", type=Path, default=CACHE, metavar="DIR", help="(default: .bench/camera)")
    parser.add_argument("rest", nargs="*", metavar="OPTION", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        with Client(options.url) as client:
            weights = client.weights()
        dataset = read_dataset(options.dataset, weights.labels)
        parameters = ("--clip-seconds", f"{options.clip_seconds:g}", *options.rest)
        # The name depends on everything that changes the scores, so that a run never resumes a table of other scores.
        terms = json.dumps([weights.camera, *parameters]).encode()
        scores_file = options.output / f"scores-{hashlib.sha256(terms).hexdigest()[:12]}.jsonl"
        scores, errors = score(list(dataset.truth), scores_file, ("--url", options.url, *parameters))
    except (ClientError, DatasetError, NotScored) as error:
        print(f"bench.camera: {error}", file=sys.stderr)
        return 1
    if not scores:
        print("bench.camera: no video could be scored", file=sys.stderr)
        return 1
    content = compare(dataset, scores, options.threshold, options.of_clips)
    (options.output / "figures.json").write_text(json.dumps(content | {"failed": len(errors)}, indent=2) + "\n")
    print(report(content, dataset, len(errors)))
    return 1 if errors else 0


def compare(dataset: Dataset, scores: dict[Path, Scored], threshold: float, of_clips: str) -> dict[str, Any]:
    """The figures, as JSON."""
    asked = sorted(dataset.asked)
    truth = [dataset.truth[video] for video in scores]
    probabilities = [of_video(scored, asked, of_clips) for scored in scores.values()]
    rows = [
        label_figures(
            label,
            np.array([label in has for has in truth]),
            np.array([probability[label] for probability in probabilities]),
            threshold,
        )
        for label in asked
    ]
    forward = [label for label in FORWARD if label in asked]
    return {
        "layout": dataset.layout,
        "videos": len(scores),
        "threshold": threshold,
        "of_clips": of_clips,
        "macro_f1": mean(row.f1 for row in rows),
        "mean_average_precision": mean(row.average_precision for row in rows),
        "labels": [asdict(row) for row in rows],
        "zoom_or_dolly": {"labels": forward, "counts": taken_for(forward, truth, probabilities).tolist()},
    }


def of_video(scored: Scored, labels: list[str], of_clips: str) -> dict[str, float]:
    """A video's probability of each label, from its clips'; longer clips have more weight in the mean."""
    columns = {label: [clip[label] for clip in scored.clips] for label in labels}
    if of_clips == "max":
        return {label: max(values) for label, values in columns.items()}
    return {label: float(np.average(values, weights=scored.seconds)) for label, values in columns.items()}


def report(content: dict[str, Any], dataset: Dataset, failed: int) -> str:
    """The figures as Markdown."""
    lines = [
        f"{content['videos']} videos ({dataset.layout}), {failed} failed; threshold {content['threshold']:g}, "
        f"{content['of_clips']} of the clips",
        "",
        table(("label", "videos", "precision", "recall", "F1", "average precision"), map(_row, content["labels"])),
        "",
        f"macro-F1 {_share(content['macro_f1'])}, mean average precision {_share(content['mean_average_precision'])}",
    ]
    if dataset.unmapped:
        lines += ["", f"left out, because the classifier has no such label: {', '.join(dataset.unmapped)}"]
    if labels := content["zoom_or_dolly"]["labels"]:
        counts = content["zoom_or_dolly"]["counts"]
        rows = [[label, *map(str, row)] for label, row in zip(labels, counts, strict=True)]
        lines += ["", "zoom or dolly: the one that a video has, and the most probable of them", ""]
        lines.append(table(("", *labels), rows))
    return "\n".join(lines)


def _row(figures: dict[str, Any]) -> list[str]:
    row = LabelFigures(**figures)
    shares = (row.precision, row.recall, row.f1, row.average_precision)
    return [row.label, str(row.videos), *map(_share, shares)]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
