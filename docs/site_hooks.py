"""Publishes Markdown files from outside docs/ as pages of the site, with links that work here and on a Git host."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
PAGES = {
    "README.md": "readme.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "training/README.md": "training.md",
}
"""Path in the repository, and name of the page."""
_LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for path, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Point links between files of the repository at the pages that show them."""
    sources = {page: path for path, page in PAGES.items()}
    folder = posixpath.dirname(sources.get(page.file.src_uri, f"docs/{page.file.src_uri}"))

    def rewritten(match: re.Match[str]) -> str:
        start, target, anchor, end = match.groups(default="")
        path = posixpath.normpath(posixpath.join(folder, target))
        if path not in PAGES and not path.startswith("docs/"):
            return match.group()
        return f"{start}{PAGES.get(path, path.removeprefix('docs/'))}{anchor}{end}"

    return _LINK.sub(rewritten, markdown)
