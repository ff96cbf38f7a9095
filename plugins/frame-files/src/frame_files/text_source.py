"""What the sources of text formats share: options, files one after the other, positions, evidence."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from frame.errors import Refused, SourceError
from frame.plugin import Context, Determinism, InvalidRow, PluginConfig, Source, beside_pipeline
from pydantic import AfterValidator, Field, SecretStr

from frame_files.places import STANDARD, Input, checked_path, is_url, listed, without_credentials, wrong
from frame_files.reading import PUT_BACK, Reading, Span, TextFile
from frame_files.records import Records
from frame_files.streams import Broken

Path = Annotated[str, AfterValidator(checked_path), AfterValidator(beside_pipeline)]
MEGABYTE = 1024 * 1024


class FilesConfig(PluginConfig):
    """Which files are read."""

    path: Path = Field(
        description="A file, a glob such as `data/*.csv` (read in the order of their names), `-` for standard "
        "input, or a URL that fsspec can open. `.gz`, `.zst` and `.zip` (one file in it) are decompressed."
    )
    storage: dict[str, SecretStr] = Field(
        default={}, description="Options for the fsspec file system of a URL, such as `key` and `secret`."
    )


class TextConfig(FilesConfig):
    """Which text files are read, and how much of them is let into memory."""

    max_line_bytes: int = Field(
        default=16 * MEGABYTE,
        ge=1,
        description="A longer line, or a longer quoted record, is an invalid row.",
    )
    max_expansion: int = Field(
        default=200,
        ge=1,
        description="Stop when a compressed file has grown to more than 64 MB and so many times its size.",
    )


class TextSource(Source):
    """Rows of text files, one after the other; resumable unless they come from standard input."""

    determinism = Determinism.IO_READ
    config: TextConfig

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._node = self.name
        self._inputs: list[Input] | None = None
        self._file: TextFile | None = None
        self._number = 0
        self._before = ""
        self._rows_before = 0
        self._span: Span | None = None
        self._evidence: list[Mapping[str, Any]] = []

    def records(self) -> Records:
        """The format, set up for one more file."""
        raise NotImplementedError

    def reading(self) -> Reading:
        """How the files are read."""
        raise NotImplementedError

    def checked(self, source: Input, records: Records) -> None:
        """Raise ValueError if `source`, whose beginning `records` has read, does not go with the other files."""

    def may_wait(self) -> bool:
        path = self.config.path
        return path == STANDARD or (is_url(path) and not path.startswith("file://"))

    def check(self) -> None:
        """Every local file is there, and its beginning goes with the others."""
        for source in self._listed():
            if source.location == STANDARD or (is_url(source.location) and source is not self._listed()[0]):
                continue
            records = self.records()
            try:
                TextFile(source, records, self.reading()).close()
                self.checked(source, records)
            except (ValueError, Broken, OSError) as error:
                raise wrong(self._node, f"{source.name}: {error}") from error

    def start(self, context: Context) -> None:
        self._node = context.node
        self.check()

    def _listed(self) -> list[Input]:
        if self._inputs is None:
            storage = {name: value.get_secret_value() for name, value in self.config.storage.items()}
            self._inputs = listed(self.config.path, self._node, storage)
        return self._inputs

    def _open(self, number: int) -> TextFile:
        source = self._listed()[number]
        try:
            return TextFile(source, self.records(), self.reading())
        except (ValueError, Broken) as error:
            raise SourceError(self._node, f"{source.name}: {error}") from error

    def read(self) -> Iterator[Mapping[str, Any] | InvalidRow]:
        for span in self._spans():
            self._span = span
            yield from span.rows
            self._rows_before, self._span = self._rows_before + span.given(), None

    def _spans(self) -> Iterator[Span]:
        while self._number < len(self._listed()):
            file = self._file = self._file or self._open(self._number)
            try:
                yield from file.spans()
            except Broken as error:
                name = self._listed()[self._number].name
                raise SourceError(self._node, f"{name}: {error}") from error
            self._close_file(file)
            self._number += 1

    def _close_file(self, file: TextFile) -> None:
        self._before = _chained(self._before, file.sha256)
        self._evidence.append(file.evidence())
        file.close()
        self._file = None

    def _rows(self) -> int:
        return self._rows_before + (self._span.given() if self._span else 0)

    def position(self) -> Any:
        """File, byte and line after the row that was given last, with the hash of everything before; None for stdin."""
        if self.config.path == STANDARD:
            return None
        here = self._file.position() if self._file else {}
        name = without_credentials(self._listed()[self._number].location) if self._file else None
        return {"number": self._number, "file": name, "rows": self._rows(), "before": self._before, **here}

    def seek(self, position: Any) -> None:
        """Go on after `position`. Raises Refused when the files before it are no longer what they were."""
        if self.config.path == STANDARD:
            raise Refused("standard input cannot be read a second time: run the pipeline anew")
        self.close()
        if position is None:
            return
        inputs = self._listed()
        if position["number"] > len(inputs) or (
            position["file"] is not None and position["number"] == len(inputs)
        ):
            raise Refused(
                f"{self.config.path}: there are fewer files than before ({len(inputs)}). {PUT_BACK}"
            )
        self._number, self._before, self._evidence = 0, "", []
        for number in range(position["number"]):
            self._number = number
            file = self._open(number)
            file.skip_all()
            self._close_file(file)
        if self._before != position["before"]:
            raise Refused(f"{self.config.path}: the files that were read before have changed. {PUT_BACK}")
        self._number, self._rows_before = position["number"], position["rows"]
        if position["file"] is not None:
            if without_credentials(inputs[self._number].location) != position["file"]:
                raise Refused(
                    f"{position['file']} was read before; in its place is {inputs[self._number].uri} now. {PUT_BACK}"
                )
            self._file = self._open(self._number)
            self._file.skip(position["offset"], position["line"], position["sha256"])

    def evidence(self) -> Mapping[str, Any]:
        """URI, size, SHA-256 and time of change of what was read, and the number of rows."""
        files = [*self._evidence, self._file.evidence()] if self._file else self._evidence
        if len(files) == 1:
            return {**files[0], "rows": self._rows()}
        return {"files": files, "rows": self._rows()}

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


def _chained(before: str, sha256: str) -> str:
    """One hash that stands for all files up to this one."""
    return hashlib.sha256(f"{before}\n{sha256}".encode()).hexdigest()
