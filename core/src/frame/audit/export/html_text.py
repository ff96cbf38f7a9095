"""Pieces of a page: everything that comes from a run goes through `text`, so that no data becomes markup."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from frame.clock import as_datetime

DASH = '<span class="soft">–</span>'


def text(value: object) -> str:
    """`value` to be read; control and direction characters, which could make a page lie, are spelled out.

    >>> text('<a href="x">'), text(None), text("a\u202eb")
    ('&lt;a href=&quot;x&quot;&gt;', '<span class="soft">–</span>', 'a\\\\u202eb')
    """
    if value is None or value == "":
        return DASH
    said = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return escape("".join(c if c.isprintable() or c in "\n\t" else _spelled(c) for c in said))


def _spelled(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def code(value: object) -> str:
    """`value` in fixed width; hashes may be broken anywhere."""
    return DASH if value is None else f'<code class="hash">{text(value)}</code>'


def moment(time_us: int | None) -> str:
    """A time in UTC."""
    if time_us is None:
        return DASH
    return f"{as_datetime(time_us):%Y-%m-%d %H:%M:%S}.{time_us % 1_000_000:06d} UTC"


def span(duration_us: int | None) -> str:
    """A duration.

    >>> span(950), span(1_500), span(2_500_000), span(None)
    ('950 µs', '1.5 ms', '2.5 s', '<span class="soft">–</span>')
    """
    if duration_us is None:
        return DASH
    for unit, size in (("s", 1_000_000), ("ms", 1_000)):
        if duration_us >= size:
            return f"{duration_us / size:,.4g} {unit}"
    return f"{duration_us} µs"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table of finished cells; `numbers`: the columns that stand to the right."""

    def cells(tag: str, row: Sequence[str]) -> str:
        marked = (' class="number"' if at in numbers else "" for at in range(len(row)))
        return "".join(f"<{tag}{mark}>{cell}</{tag}>" for mark, cell in zip(marked, row, strict=True))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells("th", head)}</tr></thead><tbody>{body}</tbody></table></div>'


def facts(pairs: Mapping[str, str]) -> str:
    """A list of finished values by name."""
    return (
        "<dl>" + "".join(f"<dt>{text(name)}</dt><dd>{value}</dd>" for name, value in pairs.items()) + "</dl>"
    )


def section(title: str, *parts: str) -> str:
    """A part of the page with a heading."""
    return f"<section><h2>{text(title)}</h2>{''.join(parts)}</section>"


def notice(said: str, kind: str = "") -> str:
    """A finished sentence that should not be overlooked."""
    return f'<p class="notice {kind}">{said}</p>'
