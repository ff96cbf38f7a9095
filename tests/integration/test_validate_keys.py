"""`frame validate` looks at the keys that a run will sign with, as it looks at the secrets that a run will need."""

from pathlib import Path

import pytest
from frame.errors import ConfigError
from frame.operations import generate_key, run, validate

from tests.integration.attacked import Place

KEYS = """audit: {sign: audit.key}
export: {format: jsonl, path: out/run.jsonl, sign: export.key}
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path).through("id\n1\n")
    place.put("pipeline.yaml", (tmp_path / "pipeline.yaml").read_text() + KEYS)
    for name in ("audit.key", "export.key"):
        generate_key(tmp_path / name)
    return place


def said(what: object) -> list[str]:
    """What is wrong, as told by `what`, a function that is handed nothing."""
    with pytest.raises(ConfigError) as refused:
        what()  # type: ignore[operator]
    return [str(problem) for problem in refused.value.problems]


def test_keys_that_are_there_are_valid_and_nothing_is_made(place: Place) -> None:
    before = place.files()

    validate(place.folder / "pipeline.yaml")

    assert place.files() == before


def test_every_key_that_cannot_be_used_is_told_at_its_place(place: Place) -> None:
    (place.folder / "audit.key").unlink()
    (place.folder / "export.key").chmod(0o644)

    problems = said(lambda: validate(place.folder / "pipeline.yaml"))

    assert len(problems) == 2
    assert ["audit.sign" in problems[0], "audit.key" in problems[0]] == [True, True]
    assert ["export.sign" in problems[1], "export.key" in problems[1]] == [True, True]


@pytest.mark.parametrize("name", ["audit.key", "export.key"])
def test_validate_says_of_a_key_what_a_run_would_say(place: Place, name: str) -> None:
    place.put(name, "no key\n").chmod(0o600)
    path = place.folder / "pipeline.yaml"

    assert said(lambda: validate(path)) == said(lambda: run(path))


def test_a_key_that_the_environment_names_is_looked_at(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAME_SIGNING_KEY", str(place.folder / "none.key"))

    (problem,) = said(lambda: validate(place.folder / "pipeline.yaml"))

    assert "FRAME_SIGNING_KEY" in problem
    assert "none.key" in problem
