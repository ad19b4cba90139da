"""What a reader of a judgement must know about the tables that it comes from."""

from .._tables.table import Metadata

NETWORKS = ("motion", "camera", "precision")


def notes_about(metadata: Metadata) -> list[str]:
    """About the weights of one table."""
    notes = []
    figures = {"motion": "motion scores", "camera": "camera moves"}
    for kind, what in (("random", "mean nothing"), ("demo", "are far less accurate than those of published networks")):
        of = [figures[name] for name in figures if metadata.weights.get(name, "").startswith(kind)]
        if of:
            notes.append(f"the {' and '.join(of)} come from {kind} weights and {what}")
    return notes


def notes_between(first: Metadata, second: Metadata) -> list[str]:
    """About what keeps two tables from being compared."""
    notes = []
    if first.weights and second.weights:
        for name in NETWORKS:
            one, other = (each.weights.get(name) for each in (first, second))
            if one != other:
                notes.append(
                    f"the generators were scored with other weights ({name}: {one} and {other}): their difference may "
                    "come from that"
                )
    for name in sorted({*first.parameters, *second.parameters}):
        one_value, other_value = (each.parameters.get(name) for each in (first, second))
        if one_value != other_value:
            one, other = ("the default" if each is None else f"{each:g}" for each in (one_value, other_value))
            notes.append(
                f"the generators were scored with another {name} ({one} and {other}): their difference may come from "
                "that"
            )
    return notes
