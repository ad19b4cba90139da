"""Yes or no, one video after the other: a page with one key for each, and what two people's answers have in common."""
