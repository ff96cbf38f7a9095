"""References to the environment: expanded once, only where they may stand, and never read again."""

import pytest
from frame.config.load import load_text
from frame.config.secret import SecretReference
from frame.errors import ConfigError

FILE = """\
name: p
source: {plugin: csv, options: {value: %s}}
sinks: {out: {plugin: jsonl}}
"""


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${A}", "alpha"),
        ("${env:A}", "alpha"),
        ("x-${A}-${A}", "x-alpha-alpha"),
        ("${NONE:-fallback}", "fallback"),
        ("${EMPTY:-fallback}", "fallback"),
        ("${A:-fallback}", "alpha"),
        ("${NONE:-}", ""),
        ("${EMPTY}", ""),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A and $ and {}", "$A and $ and {}"),
        ("${NUMBER}", "7"),
        ("${TRICK}", "${A} !!python/name:os.system"),
        ("${secret:A}", SecretReference("A")),
    ],
)
def test_a_reference_becomes_text_that_is_not_read_again(written: str, value: object) -> None:
    environ = {"A": "alpha", "EMPTY": "", "NUMBER": "7", "TRICK": "${A} !!python/name:os.system"}

    loaded = load_text(FILE % f"'{written}'", environ=environ)

    assert loaded.config.source.options == {"value": value}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("${NONE}", "${NONE}: the environment has no variable NONE"),
        ("${env:NONE}", "${env:NONE}: the environment has no variable NONE"),
        ("${secret:NONE}", "${secret:NONE}: the environment has no variable NONE"),
        ("${secret:A:-x}", "${secret:A:-x}: a secret has no default"),
        ("user:${secret:A}@host", "${secret:A} stands inside other text"),
        ("${}", "'${}' is not a reference"),
        ("${a-b}", "'${a-b}' is not a reference"),
        ("${file:x}", "'${file:x}' is not a reference"),
        ("${A", "'${A' is not a reference"),
        ("${A:-${B}}", "'${A:-${B}' is not a reference"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named_with_its_place(written: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(FILE % f"'{written}'", environ={"A": "alpha"})

    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.field) == (2, 40, "source.options.value")
    assert problem.message == message
    assert "alpha" not in str(caught.value)


def test_a_secret_goes_into_options_and_nowhere_else() -> None:
    text = (
        "name: ${secret:A}\nsource: {plugin: csv}\nsinks: {out: {plugin: x, options: {p: '${secret:A}'}}}\n"
    )

    with pytest.raises(ConfigError) as caught:
        load_text(text, environ={"A": "alpha"})

    assert [(problem.line, problem.message) for problem in caught.value.problems] == [
        (1, "${secret:A} is not allowed here")
    ]


def test_a_secret_is_written_as_its_reference_and_read_only_when_asked() -> None:
    loaded = load_text(FILE % "'${secret:A}'", environ={"A": "alpha"})

    reference = loaded.config.source.options["value"]

    assert loaded.config.model_dump(mode="json")["source"]["options"] == {"value": "${secret:A}"}
    assert "alpha" not in repr(loaded)
    assert reference.read(loaded.environ, loaded.folder) == "alpha"


def test_numbers_and_truth_values_may_come_from_the_environment() -> None:
    text = (
        "name: p\nsource: {plugin: csv}\nsinks: {out: {plugin: x, timeout: '${WAIT}'}}\n"
        "settings: {chunk_rows: '${ROWS}', abort_on_error: '${ABORT}'}\n"
    )

    config = load_text(text, environ={"ROWS": "10", "ABORT": "true", "WAIT": "5s"}).config

    assert (config.settings.chunk_rows, config.settings.abort_on_error) == (10, True)
    assert config.sinks["out"].timeout is not None
    assert config.sinks["out"].timeout.total_seconds() == 5
