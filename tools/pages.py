"""The testable blocks of a Markdown page: files to write, commands to run, Python to execute.

CONTRIBUTING.md, "Pages that are tested", has the convention in the words of somebody who writes a page. In short:

* a block with `title="NAME"` is written to NAME; a `console` block is run; a `python` block is executed;
* `<!-- test: ... -->` on the line before a block says something else about it: `file NAME`, `exit N`, `output`,
  `part of NAME`, `skip, REASON`; `<!-- test: copy PATH -->` stands alone;
* a block in a language that could be tested and is not, is an error.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<language>[\w+-]*)(?P<rest>.*)$")
MARKER = re.compile(r"^ *<!-- test: (?P<text>.+?) -->$")
TITLE = re.compile(r'title="([^"]+)"')
SHOWN = frozenset(
    {"text", "mermaid", "diff", "csv", "json", "jsonl", "toml", "sql", "markdown", "make", "pycon"}
)
"""Languages that may be shown without being tested; all others need a title, a marker or an engine."""


class PageError(ValueError):
    """A block that keeps to no convention."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(line, why)
        self.line, self.why = line, why

    def __str__(self) -> str:
        return f"line {self.line}: {self.why}"


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Write `text` to `name` in the page's folder."""

    line: int
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class CopyPath:
    """Copy a file or folder of the workspace into the page's folder, under its last name."""

    line: int
    path: str


@dataclass(frozen=True, slots=True)
class RunCommand:
    """Run a shell command; `expected` is what it prints (None: anything), `...` standing for what may differ."""

    line: int
    command: str
    expected: str | None
    exit_code: int


@dataclass(frozen=True, slots=True)
class RunPython:
    """Execute Python in the page's namespace; `expected` as for a command."""

    line: int
    code: str
    expected: str | None


@dataclass(frozen=True, slots=True)
class PartOf:
    """The YAML in `text` is a part of the file `name` that the page wrote."""

    line: int
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Skip:
    """A block that is not tested, and why."""

    line: int
    reason: str


Step = WriteFile | CopyPath | RunCommand | RunPython | PartOf | Skip


@dataclass(frozen=True, slots=True)
class _Block:
    line: int
    language: str
    title: str | None
    marker: str
    text: str


def steps(page: str) -> list[Step]:
    """What testing the Markdown text `page` takes, in page order.

    >>> steps('''
    ... ```console
    ... $ frame --version
    ... frame ...
    ... ```
    ... ''')
    [RunCommand(line=3, command='frame --version', expected='frame ...', exit_code=0)]

    Raises PageError for a block that keeps to no convention.
    """
    found: list[Step] = []
    for piece in _pieces(page):
        if isinstance(piece, CopyPath):
            found.append(piece)
        elif piece.marker == "output":
            found.append(_with_output(found, piece))
        else:
            found.extend(_steps_of(piece))
    return found


def without_code(page: str) -> str:
    """`page` with its blocks and its inline code blanked, line numbers kept: what is left is prose and links."""
    lines = page.splitlines()
    for start, end, _ in _fences(lines):
        lines[start : end + 1] = [""] * (end + 1 - start)
    return re.sub(r"`[^`\n]+`", "", "\n".join(lines))


def matches(expected: str, actual: str) -> bool:
    """Whether `actual` is what `expected` shows: `...` alone on a line stands for any lines, in one for any text.

    >>> matches("run ... done\\n...\\nbye", "run 0192 done\\nrows 3\\nrows 4\\nbye\\n")
    True
    >>> matches("rows 3", "rows 4")
    False
    """
    pattern = ""
    for line in _trimmed(expected):
        if line.strip() == "...":
            pattern += r"(?:.*\n)*"
        else:
            pattern += ".*".join(re.escape(part) for part in line.split("...")) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _trimmed(actual))) is not None


def _trimmed(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def _fences(lines: list[str]) -> Iterator[tuple[int, int, re.Match[str]]]:
    """Index of each opening and closing fence, and the match of the opening one."""
    index = 0
    while index < len(lines):
        opening = FENCE.match(lines[index])
        if opening is None:
            index += 1
            continue
        closing = index + 1
        while closing < len(lines) and lines[closing].strip() != opening["ticks"]:
            closing += 1
        if closing == len(lines):
            raise PageError(index + 1, "a block that is not closed")
        yield index, closing, opening
        index = closing + 1


def _pieces(page: str) -> Iterator[_Block | CopyPath]:
    lines = page.splitlines()
    after_fence = 0
    for start, end, opening in _fences(lines):
        yield from _copies(lines, after_fence, start)
        marker = MARKER.match(lines[start - 1]) if start > after_fence else None
        title = TITLE.search(opening["rest"])
        yield _Block(
            line=start + 1,
            language=opening["language"],
            title=title[1] if title else None,
            marker="" if marker is None or marker["text"].startswith("copy ") else marker["text"],
            text=textwrap.dedent("".join(f"{line}\n" for line in lines[start + 1 : end])),
        )
        after_fence = end + 1
    yield from _copies([*lines, ""], after_fence, len(lines) + 1)


def _copies(lines: list[str], start: int, end: int) -> Iterator[CopyPath]:
    """The `copy` markers between two blocks; any other marker there belongs to no block."""
    for index in range(start, end):
        marker = MARKER.match(lines[index])
        if marker and marker["text"].startswith("copy "):
            yield CopyPath(index + 1, marker["text"].removeprefix("copy ").strip())
        elif marker and index != end - 1:
            raise PageError(index + 1, f"the marker {marker['text']!r} is not on the line before a block")


def _steps_of(block: _Block) -> list[Step]:
    if block.marker.startswith("skip"):
        reason = block.marker.removeprefix("skip").lstrip(" ,:")
        if not reason:
            raise PageError(block.line, "say why the block is skipped: <!-- test: skip, REASON -->")
        return [Skip(block.line, reason)]
    if block.marker.startswith("part of "):
        return [PartOf(block.line, block.marker.removeprefix("part of ").strip(), block.text)]
    if name := block.title or _file_name(block.marker):
        return [WriteFile(block.line, name, block.text)]
    if block.language in ("console", "python"):
        return (
            list(_commands(block))
            if block.language == "console"
            else [RunPython(block.line, block.text, None)]
        )
    if block.marker:
        raise PageError(block.line, f"no such marker: {block.marker!r}")
    if block.language not in SHOWN:
        raise PageError(
            block.line,
            f"a {block.language or 'nameless'} block that is not tested. Use console or python, give it a "
            'title="FILE", or mark it: part of FILE | skip, REASON. What is only shown is `text`.',
        )
    return []


def _file_name(marker: str) -> str | None:
    return marker.removeprefix("file ").strip() if marker.startswith("file ") else None


def _with_output(found: list[Step], block: _Block) -> RunPython:
    """The Python step just before `block`, now knowing that it prints what `block` shows."""
    if not found or not isinstance(found[-1], RunPython):
        raise PageError(block.line, "`output` follows a python block")
    before = found.pop()
    assert isinstance(before, RunPython)
    return RunPython(before.line, before.code, block.text)


def _commands(block: _Block) -> Iterator[RunCommand]:
    """Each `$ command` with the lines below it; a backslash at the end goes on in the next line."""
    lines = block.text.splitlines()
    if not lines or not lines[0].startswith("$ "):
        raise PageError(block.line, "a console block begins with `$ ` and a command")
    starts: list[int] = [index for index, line in enumerate(lines) if line.startswith("$ ")]
    exit_code = _exit_code(block)
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        shown = start + 1
        while lines[shown - 1].endswith("\\") and shown < end:
            shown += 1
        yield RunCommand(
            line=block.line + 1 + start,
            command="\n".join(lines[start:shown]).removeprefix("$ "),
            expected="\n".join(lines[shown:end]) if shown < end else None,
            exit_code=exit_code if start == starts[-1] else 0,
        )


def _exit_code(block: _Block) -> int:
    if not block.marker:
        return 0
    if found := re.fullmatch(r"exit (\d+)", block.marker):
        return int(found[1])
    raise PageError(block.line, f"no such marker for a console block: {block.marker!r}")
