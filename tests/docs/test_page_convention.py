"""What a page may hold, and what of it is run."""

from pathlib import Path

import pytest

from tools import pages
from tools.page_run import PageFailed, run_page

WHOLE_PAGE = """
<!-- test: copy examples/flights/data -->
```yaml title="a.yaml"
source: {plugin: csv}
nodes: [{name: one}, {name: two, to: end}]
```
<!-- test: part of a.yaml -->
```yaml
nodes: [{name: two}]
```
```console
$ mkdir sub && cd sub && export WORD=hello
$ echo $WORD; pwd
hello
.../sub
$ head -1 ../data/airlines.csv
carrier,name
```
<!-- test: exit 3 -->
```console
$ exit 3
```
```python title="words.py"
def word():
    return "from a file"
```
```python
from words import word
print(word())
```
<!-- test: output -->
```text
from a ...
```
```python
>>> word().upper()
'FROM A FILE'
```
"""


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ('```yaml title="a.yaml"\nx: 1\n```\n', [pages.WriteFile(1, "a.yaml", "x: 1\n")]),
        ("<!-- test: file d.csv -->\n```csv\na\n1\n```\n", [pages.WriteFile(2, "d.csv", "a\n1\n")]),
        ("<!-- test: copy examples/flights/data -->\n", [pages.CopyPath(1, "examples/flights/data")]),
        (
            "```console\n$ a \\\n    -b\nout\n$ c\n```\n",
            [pages.RunCommand(2, "a \\\n    -b", "out", 0), pages.RunCommand(5, "c", None, 0)],
        ),
        ("<!-- test: exit 3 -->\n```console\n$ bad\n```\n", [pages.RunCommand(3, "bad", None, 3)]),
        ("1. item\n\n    ```python\n    x = 1\n    ```\n", [pages.RunPython(3, "x = 1\n", None)]),
        (
            "```python\nprint(1)\n```\nprints\n<!-- test: output -->\n```text\n1\n```\n",
            [pages.RunPython(1, "print(1)\n", "1\n")],
        ),
        ("<!-- test: skip, needs a network -->\n```console\n$ x\n```\n", [pages.Skip(2, "needs a network")]),
        ("<!-- test: part of a.yaml -->\n```yaml\nx: 1\n```\n", [pages.PartOf(2, "a.yaml", "x: 1\n")]),
        ("```text\nonly shown\n```\n", []),
    ],
)
def test_a_block_becomes_the_step_that_it_asks_for(page: str, expected: list[pages.Step]) -> None:
    assert pages.steps(page) == expected


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("```yaml\nx: 1\n```\n", "line 1: a yaml block that is not tested"),
        ("```\nx\n```\n", "line 1: a nameless block that is not tested"),
        ("```bash\nls\n```\n", "line 1: a bash block that is not tested"),
        ("<!-- test: skip -->\n```yaml\nx: 1\n```\n", "line 2: say why"),
        (
            "<!-- test: exit 3 -->\n\n```console\n$ x\n```\n",
            "line 1: the marker 'exit 3' is not on the line before",
        ),
        ("<!-- test: exit three -->\n```console\n$ x\n```\n", "line 2: no such marker"),
        ("```console\nls\n```\n", "line 1: a console block begins"),
        ("```python\nx = 1\n", "line 1: a block that is not closed"),
    ],
)
def test_a_block_that_keeps_to_no_convention_is_an_error(page: str, complaint: str) -> None:
    with pytest.raises(pages.PageError) as error:
        pages.steps(page)

    assert str(error.value).startswith(complaint)


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("a\nb", "a  \nb\n\n", True),
        ("run ...: done", "run 0192f: done", True),
        ("first\n...\nlast", "first\nlast", True),
        ("first\n...\nlast", "first\n1\n2\nlast", True),
        ("first\n...", "second", False),
        ("a.c", "abc", False),
    ],
)
def test_dots_stand_for_what_may_differ_and_nothing_else_does(expected: str, actual: str, same: bool) -> None:
    assert pages.matches(expected, actual) is same


def test_a_page_is_taken_from_top_to_bottom_in_one_folder(tmp_path: Path) -> None:
    run_page("page.md", WHOLE_PAGE, tmp_path)

    assert sorted(path.name for path in (tmp_path / "page").glob("*.*")) == ["a.yaml", "words.py"]


@pytest.mark.parametrize(
    ("shown", "instead"),
    [
        ("\nhello\n", "\ngoodbye\n"),
        ("exit 3 -->", "exit 4 -->"),
        ("from a ...", "from nowhere"),
        ("'FROM A FILE'", "'NO'"),
        ("[{name: two}]", "[{name: three}]"),
        ('title="words.py"', 'title="../words.py"'),
    ],
)
def test_a_page_that_shows_what_does_not_happen_fails(shown: str, instead: str, tmp_path: Path) -> None:
    assert WHOLE_PAGE.count(shown) == 1

    with pytest.raises(PageFailed):
        run_page("page.md", WHOLE_PAGE.replace(shown, instead), tmp_path)
