"""Finding the pipeline in a Python file, as the native dali backend does."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any


def pipeline_definition(path: Path) -> Callable[..., Any]:
    """The function in the Python file `path` with the decorator `@autoserialize`; ValueError if it has none."""
    spec = importlib.util.spec_from_file_location("dali_pipeline", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for value in vars(module).values():
        if getattr(value, "_is_autoserialize", False):
            return value
    raise ValueError("it has no function with the decorator @autoserialize")
