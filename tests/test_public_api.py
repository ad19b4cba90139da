"""What is public: it is listed, it has docstrings, and the documentation names it."""

import ast
import importlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "client"
PUBLIC = ("client", "client.errors", "client.intervals", "client.phrases", "client.ray", "client.table", "client.watch")
"""Modules to import."""
RUNNABLE = ("client.filter", "client.report", "client.score", "client.summary")
"""Modules to run with `python -m`."""
MAY_IMPORT = {
    "_remote": set(),
    "_sdk": {"_remote"},
    "_inputs": {"_remote", "_shards"},
    "_shards": {"_remote"},
    "_tables": {"_remote", "_sdk", "_inputs", "_shards"},
    "_phrases": {"_sdk"},
    "_workers": set(),
    "_first_pass": {"_remote", "_shards", "_tables", "_watch", "_workers"},
    "_learn": {"_tables"},
    "_cut": {"_remote", "_shards", "_workers"},
    "_annotate": {"_tables", "_learn", "_report"},
    "_report": {"_remote", "_tables"},
    "_search": {"_sdk", "_tables", "_report"},
    "_evaluate": {"_sdk", "_inputs", "_tables", "_search"},
    "_captions": {"_remote", "_tables", "_phrases", "_evaluate"},
    "_runs": {"_remote", "_sdk", "_inputs", "_tables", "_phrases", "_first_pass"},
    "_watch": {"_sdk", "_inputs"},
    "_scenes": {"_remote", "_inputs", "_tables", "_runs", "_watch", "_workers"},
    "_judge": {"_inputs", "_tables"},
    "_commands": {
        *("_sdk", "_inputs", "_tables", "_learn", "_annotate", "_cut", "_report", "_search", "_evaluate", "_captions"),
        *("_first_pass", "_judge", "_ray", "_remote", "_runs", "_scenes", "_shards", "_watch"),
    },
    "_ray": {"_remote", "_sdk", "_inputs", "_tables", "_runs"},
}
"""Which folder of the package may import from which others."""


def names(module: str) -> list[str]:
    return list(importlib.import_module(module).__all__)


def test_every_module_without_an_underscore_is_in_a_list() -> None:
    files = PACKAGE.glob("*.py")
    found = {f"client.{file.stem}" for file in files if not file.stem.startswith("_")} | {"client"}
    assert found == {*PUBLIC, *RUNNABLE}
    assert {folder.name for folder in PACKAGE.iterdir() if any(folder.glob("*.py"))} == set(MAY_IMPORT)


@pytest.mark.parametrize("module", PUBLIC)
def test_all_lists_every_public_name(module: str) -> None:
    loaded = importlib.import_module(module)
    tree = ast.parse(Path(loaded.__file__ or "").read_text())
    defined = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    defined |= {name for node in tree.body for name in assigned(node)}
    imported = {
        alias.name for node in tree.body if isinstance(node, ast.ImportFrom) and node.level for alias in node.names
    }
    public = {name for name in defined | imported if not name.startswith("_")}
    assert public <= {*loaded.__all__}
    assert all(hasattr(loaded, name) for name in loaded.__all__)


def assigned(node: ast.stmt) -> list[str]:
    """The names that a statement assigns to."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def definition(module: ModuleType, name: str) -> tuple[ast.stmt, ast.stmt | None]:
    """The statement that defines a public name, in the module that does, and the one after it."""
    value = getattr(module, name)
    home = importlib.import_module(getattr(value, "__module__", module.__name__))
    body = ast.parse(Path(home.__file__ or "").read_text()).body
    for index, node in enumerate(body):
        if name in assigned(node) or (isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name):
            return node, body[index + 1] if index + 1 < len(body) else None
    raise AssertionError(f"{home.__name__} does not define {name}")


def is_text(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def undocumented(node: ast.ClassDef) -> list[str]:
    """Fields and public methods of a class without a docstring."""
    missing = [] if ast.get_docstring(node) else [node.name]
    for member, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(member, ast.AnnAssign) and not is_text(after):
            missing += [f"{node.name}.{name}" for name in assigned(member)]
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and not (
            member.name.startswith("_") or ast.get_docstring(member)
        ):
            missing.append(f"{node.name}.{member.name}")
    return missing


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_has_a_docstring_and_every_field_one(module: str) -> None:
    loaded = importlib.import_module(module)
    assert loaded.__doc__
    missing = []
    for name in loaded.__all__:
        node, after = definition(loaded, name)
        if isinstance(node, ast.ClassDef):
            missing += undocumented(node)
        elif isinstance(node, ast.FunctionDef):
            missing += [] if ast.get_docstring(node) else [name]
        elif not is_text(after):
            missing.append(name)
    assert missing == []


def test_a_missing_docstring_would_be_found() -> None:
    tree = ast.parse('class A:\n    """A."""\n    x: int\n    y: int\n    """Y."""\n    def f(self): ...\n')
    assert isinstance(tree.body[0], ast.ClassDef)
    assert undocumented(tree.body[0]) == ["A.x", "A.f"]


def test_the_documentation_names_every_public_name() -> None:
    text = (ROOT / "docs" / "python.md").read_text()
    assert [f"{module}.{name}" for module in PUBLIC for name in names(module) if name not in text] == []


def test_imports_point_one_way() -> None:
    wrong = []
    for file in PACKAGE.glob("_*/*.py"):
        folder = file.parent.name
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level == 2 and node.module:
                imported = node.module.split(".")[0]
                if imported in MAY_IMPORT and imported not in MAY_IMPORT[folder]:
                    wrong.append(f"{file.relative_to(ROOT)} imports {node.module}")
    assert wrong == []


def test_the_package_imports_itself_by_relative_names_alone() -> None:
    """The folder has another name in the wheel."""
    wrong = []
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            wrong += [
                f"{file.relative_to(ROOT)}: {name}"
                for name in modules
                if name.split(".")[0] in ("client", "video_motion")
            ]
    assert wrong == []
