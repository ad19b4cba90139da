"""Where the table of a run goes: a file of this machine, or a URL to which it is uploaded when it is whole."""

from dataclasses import dataclass
from pathlib import Path

from .._remote.addresses import canonical, file_name, is_remote, lacks
from .._remote.looking import is_file
from .._remote.troubles import Kind
from .._remote.writing import can_write, state_of, try_write, upload
from .._tables.output import OutputError, check_format, check_output
from ..errors import UnreadableFile


@dataclass(frozen=True)
class Destination:
    """An output. Of a URL, `path` is a copy on this machine, which is written first."""

    path: Path
    """The file of this machine."""
    journal: Path
    """Its journal, on this machine too."""
    url: str | None = None
    """Where it is uploaded to."""
    owns_folder: bool = False
    """Whether the folder of the journal is there for this output alone, and is made if there is none."""

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.url or str(self.path)

    @property
    def is_begun(self) -> bool:
        """Whether a run has written to it."""
        return self.path.exists() if self.url is None else self.journal.exists()

    def check(self, *, embeddings: bool) -> None:
        """Check that it can be written there, and that nothing unrelated is.

        Raises `OutputError`, `UnreadableFile` and `UploadError`.
        """
        if self.url is None:
            check_output(self.path, self.journal, embeddings=embeddings)
            return
        check_format(self.url, embeddings=embeddings)
        if not can_write(self.url):
            raise OutputError(f"{self.url}: web servers take no files: write to a bucket, or to this machine")
        if sentence := lacks(self.url):
            raise OutputError(f"{self.url}: {sentence}")
        folder = self.journal.parent
        if not (self.journal.exists() and self.journal.stat().st_size) and _is_there(self.url):
            raise OutputError(
                f"{self.url}: exists, but this machine has no journal of it ({self.journal}), so no run can resume; "
                "choose another name for the output, or name its journal (--journal)"
            )
        if self.owns_folder:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"{self.url}: cannot make {folder} for its journal: {error.strerror}") from error
        elif not folder.is_dir():
            raise OutputError(f"{self.url}: there is no folder {folder} for its journal")
        try_write(self.url)

    def publish(self) -> None:
        """Upload it, if it has a URL, and remove the copy: the journal has everything. Raises `UploadError`."""
        if self.url is not None:
            upload(self.path, self.url)
            self.path.unlink()


def destination_of(output: Path | str, journal: Path | None = None) -> Destination:
    """The destination for an output, which is a URL if it is one as text.

    journal: None puts it beside a file, and for a URL into a folder of this machine that is named by it.
    """
    if not (isinstance(output, str) and is_remote(output)):
        path = Path(output)
        return Destination(path, journal or path.with_name(f"{path.name}.journal"))
    name = file_name(output)
    if journal is not None:
        return Destination(journal.with_name(f"{journal.name}.{name}"), journal, canonical(output))
    folder = state_of(output)
    return Destination(folder / name, folder / f"{name}.journal", canonical(output), owns_folder=True)


def _is_there(url: str) -> bool:
    try:
        return is_file(url)
    except UnreadableFile as error:
        if error.reason == Kind.FORBIDDEN.value:  # who may write need not be allowed to look
            return False
        raise UnreadableFile(f"{url}: {error}", reason=error.reason) from error
