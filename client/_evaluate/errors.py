"""The exception of an evaluation."""


class EvaluationError(Exception):
    """Sets or captions cannot be compared; the message says why and what to do."""
