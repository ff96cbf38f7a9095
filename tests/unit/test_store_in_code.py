"""A pipeline in code is replayed, as it is resumed, from the store that it is recorded in."""

from pathlib import Path

import pytest
from frame.config.in_code import pipeline
from frame.operations import replay, run
from frame.testing import ListSink, ListSource


@pytest.mark.parametrize("said", [True, False])
def test_the_store_of_a_pipeline_in_code_is_the_one_that_it_ran_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRAME_AUDIT", f"sqlite:///{tmp_path / 'another.db'}")
    audit = {"url": "sqlite:///mine.db"} if said else {}
    made = pipeline("code", source=ListSource([{"n": 1}]), sinks={"out": ListSink()}, audit=audit)

    run_id = run(made).run_id

    assert replay(run_id, pipeline=made).ok
    assert (tmp_path / ("mine.db" if said else ".frame/audit.db")).exists()
    assert not (tmp_path / "another.db").exists()
