"""Packages that only some commands and formats need."""

from importlib.util import find_spec

_PACKAGE = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "scenedetect": "scenedetect-headless",
    "sklearn": "scikit-learn",
    "xgboost": "xgboost-cpu",
}
"""The names of packages that are not the names of their modules."""


def missing(what: str, *modules: str, extra: str | None = None) -> str | None:
    """A sentence that says what to install if any of `modules` that `what` needs is missing; else None.

    `extra` is the name of the wheel's extra that has all of them.
    """
    absent = [_PACKAGE.get(module, module) for module in modules if find_spec(module) is None]
    if not absent:
        return None
    all_of_them = f" (the extra {extra!r} of the wheel has them)" if extra else ""
    return f"{what} needs {' and '.join(absent)}: pip install {' '.join(absent)}{all_of_them}"
