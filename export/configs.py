"""Configurations of the optional models: filled-in copies of the templates in `export/templates/`."""

from pathlib import Path
from string import Template

from export.repository import Transaction

TEMPLATES = Path(__file__).parent / "templates"


def model_files(template: str, **values: object) -> dict[str, str]:
    """The files of a model: paths relative to its directory, and contents with `values` in place of their `$names`."""
    root = TEMPLATES / template
    files = sorted(path for path in root.rglob("*") if path.suffix in (".pbtxt", ".py"))
    return {str(path.relative_to(root)): Template(path.read_text()).substitute(values) for path in files}


def stage_model(transaction: Transaction, model: str, template: str, **values: object) -> None:
    """Stage the configurations of `model`."""
    for name, text in model_files(template, **values).items():
        transaction.stage_text(f"{model}/{name}", text)
