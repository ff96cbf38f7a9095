"""Rows of JSON Lines files."""

from frame_files.blocks import Blocks
from frame_files.json_strict import NotStrict, loads
from frame_files.reading import Reading
from frame_files.records import Item, Parsed, Place, Records, invalid, not_text
from frame_files.text_source import TextConfig, TextSource


class JsonlRecords:
    """One JSON object a line; blank lines are skipped."""

    def begin(self, blocks: Blocks) -> tuple[bytes, int]:
        return b"", 0

    def parse(self, data: bytes, place: Place, last: bool) -> Parsed:
        items: list[Item] = []
        ends: list[int] = []
        offset = place.offset
        lines = data.splitlines(keepends=True)
        for number, line in enumerate(lines):
            if line.strip(b" \t\r\n"):
                items.append(_item(line, Place(place.file, place.line + number, offset)))
                ends.append(number + 1)
            offset += len(line)
        return Parsed(items, ends, len(lines))


def _item(line: bytes, place: Place) -> Item:
    try:
        return loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        reason = not_text(line, place.offset, "utf-8", error)
    except NotStrict as error:
        truncated = (
            "" if line.endswith((b"\n", b"\r")) else " (the file ends in this line: it may be truncated)"
        )
        reason = f"{error}{truncated}"
    return invalid(line, reason, place.file, place.line)


class JsonlSource(TextSource):
    """Rows of JSON Lines files: one object a line, in UTF-8, read strictly.

    Integers are exact at any size up to 1,233 digits, floats stay floats. NaN, Infinity, numbers too large for
    a float, a key that occurs twice in one object, half a surrogate pair, nesting deeper than 100 levels and
    lines that are not one object are invalid rows.
    """

    name = "jsonl"

    class Config(TextConfig):
        """Which JSON Lines are read."""

    def reading(self) -> Reading:
        return Reading("utf-8", self.config.max_line_bytes, self.config.max_expansion)

    def records(self) -> Records:
        return JsonlRecords()
