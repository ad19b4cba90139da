"""Tables by URL: commands read a table more than once, so they read a copy on this machine."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .._remote.addresses import file_name
from .._remote.reading import on_this_machine
from ..errors import UnreadableFile
from .table import FORMATS, TableError


@contextmanager
def table_here(table: Path | str) -> Iterator[Path]:
    """The file of a table: a copy of it while the block runs, if the table is a URL. Raises `TableError`.

    What the block raises about the copy is about the URL then.
    """
    if isinstance(table, Path):
        yield table
        return
    if not file_name(table).lower().endswith(FORMATS):
        raise TableError(f"{table} is not a table of scores: its name must end in {', '.join(FORMATS)}")
    with ExitStack() as stack:
        try:
            copy = stack.enter_context(on_this_machine(table))
        except UnreadableFile as error:
            raise TableError(f"cannot read {table}: {error}") from error
        try:
            yield Path(copy)
        except Exception as error:
            error.args = tuple(one.replace(copy, table) if isinstance(one, str) else one for one in error.args)
            raise
