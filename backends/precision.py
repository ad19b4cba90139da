"""What a CPU computes in."""

PRECISIONS = ("auto", "f32", "bf16")


def choose_precision(asked: str, capabilities: list[str]) -> str:
    """`f32` or `bf16`; ValueError where that cannot be had on a CPU with these OpenVINO capabilities."""
    if asked not in PRECISIONS:
        raise ValueError(f"PRECISION is {asked!r}, it must be one of {', '.join(PRECISIONS)}")
    if asked == "bf16" and "BF16" not in capabilities:
        raise ValueError("PRECISION is bf16, which this CPU has no instructions for")
    if asked == "auto":
        return "bf16" if "BF16" in capabilities else "f32"
    return asked
