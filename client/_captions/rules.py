"""What a caption must be like."""

import unicodedata

MIN_LATIN_SHARE = 0.9
"""Of the letters: English has Latin ones, and names may have others."""


def broken_rules(text: str, words: int) -> list[str]:
    """What is wrong with an answer, each as the end of a sentence that begins with "it"; empty if nothing is."""
    if not text:
        return ["has no text"]
    found = []
    if (count := len(text.split())) > words:
        found.append(f"has {count} words, at most {words} are allowed")
    if text != text.lower():
        found.append("has capital letters, only lower case is allowed")
    letters = [letter for letter in text if letter.isalpha()]
    latin = sum("LATIN" in unicodedata.name(letter, "") for letter in letters)
    if not letters:
        found.append("has no word")
    elif latin < MIN_LATIN_SHARE * len(letters):
        found.append("is not in English")
    return found


def cleaned(answer: str) -> str:
    """An answer in one line, without the quotation marks that models put around it."""
    text = " ".join(answer.split())
    for mark in ('"', "'", "“”"):
        if len(text) > 1 and text[0] == mark[0] and text[-1] == mark[-1]:
            text = text[1:-1].strip()
    return text


def correction(problems: list[str]) -> str:
    """What to tell the model about its answer."""
    return f"This caption {' and '.join(problems)}. Write it again, with the same rules. Answer with the caption alone."
