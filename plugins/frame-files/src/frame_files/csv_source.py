"""Rows of CSV files."""

from frame.plugin import PluginConfig, Schema, parse_field_type
from pydantic import Field, field_validator, model_validator

from frame_files.csv_records import CsvRecords, Dialect, check_header
from frame_files.encodings import Encoding
from frame_files.places import Input
from frame_files.reading import Reading
from frame_files.records import Records
from frame_files.streams import is_bytewise
from frame_files.text_source import MEGABYTE, TextConfig, TextSource


class CsvSource(TextSource):
    """Rows of CSV files. Every value is text or null: the schema of the pipeline gives it a type.

    A quote counts only where a field begins. A malformed record (too long, too short, text after a closing
    quote, bytes that are not in the encoding) is an invalid row and leaves its neighbours alone; a quote that
    is never closed stops the source. Lines end with LF, CRLF or CR; blank lines are skipped.
    """

    name = "csv"
    text_values = True

    class Config(TextConfig):
        """How the CSV is written."""

        delimiter: str = Field(default=",", description="What stands between fields: one character.")
        quotechar: str = Field(default='"', description='What encloses a field; "" when nothing is quoted.')
        encoding: Encoding = Field(
            default="utf-8", description="The encoding; a UTF-8 byte order mark is skipped."
        )
        null_values: list[str] = Field(
            default=[""], description="Texts that mean null, quoted or not. An empty cell is null by default."
        )
        header: list[str] | None = Field(
            default=None, description="Names of the columns, for files without a header line."
        )
        max_field_bytes: int = Field(
            default=MEGABYTE, ge=1, description="A longer field makes an invalid row."
        )

        @field_validator("delimiter", "quotechar")
        @classmethod
        def _is_one_character(cls, value: str) -> str:
            if len(value) > 1 or value in ("\r", "\n", "\0"):
                raise ValueError("should be one character, and no line end")
            return value

        @field_validator("header")
        @classmethod
        def _names_columns(cls, value: list[str] | None) -> list[str] | None:
            if value is not None and not value:
                raise ValueError("names no column")
            check_header(value or [])
            return value

        @model_validator(mode="after")
        def _go_together(self) -> "CsvSource.Config":
            if not self.delimiter or self.delimiter == self.quotechar:
                raise ValueError("delimiter should be one character other than quotechar")
            return self

    config: Config

    def __init__(self, config: PluginConfig) -> None:
        super().__init__(config)
        self._columns: tuple[str, tuple[str, ...]] | None = None

    def provides(self) -> Schema:
        """The columns, when `header` names them."""
        text = parse_field_type("str?" if self.config.null_values else "str")
        return Schema(dict.fromkeys(self.config.header or (), text), complete=self.config.header is not None)

    def reading(self) -> Reading:
        config = self.config
        return Reading(config.encoding, config.max_line_bytes, config.max_expansion, self._quote())

    def records(self) -> Records:
        config = self.config
        encoding = config.encoding if is_bytewise(config.encoding) else "utf-8"
        dialect = Dialect(
            config.delimiter,
            config.quotechar,
            encoding,
            tuple(config.null_values),
            config.max_field_bytes,
            config.max_line_bytes,
        )
        return CsvRecords(dialect, config.header)

    def _quote(self) -> bytes:
        return self.config.quotechar.encode()

    def checked(self, source: Input, records: Records) -> None:
        """All files should have the same columns, in any order."""
        assert isinstance(records, CsvRecords)
        if not records.names:
            return
        name, columns = self._columns = self._columns or (source.name, records.names)
        if odd := sorted(set(columns) ^ set(records.names)):
            raise ValueError(
                f"has other columns than {name}: only one of them has {', '.join(map(repr, odd))}"
            )
