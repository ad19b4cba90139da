"""Scores in words: a sentence for captions, and a short form for prompts."""

from ._phrases.describe import Phrases, describe, describe_row, strength
from ._phrases.language import Language

__all__ = ["Language", "Phrases", "describe", "describe_row", "strength"]
