"""What a run has read is not what stands there when it goes on: refused with both hashes, and put back it goes on."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.attacked import Place

ROWS = 40


def as_csv(numbers: list[int]) -> bytes:
    return ("id\n" + "".join(f"{n}\n" for n in numbers)).encode()


def as_jsonl(numbers: list[int]) -> bytes:
    return "".join(json.dumps({"id": n}) + "\n" for n in numbers).encode()


def as_gzip(numbers: list[int]) -> bytes:
    return gzip.compress(as_csv(numbers), mtime=0)


def as_parquet(numbers: list[int]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": numbers}), sink, row_group_size=10)
    return bytes(sink.getvalue())


KINDS: dict[str, tuple[Callable[[list[int]], bytes], str, str]] = {
    "csv": (as_csv, "csv", "in.csv"),
    "jsonl": (as_jsonl, "jsonl", "in.jsonl"),
    "gzip": (as_gzip, "csv", "in.csv.gz"),
    "parquet": (as_parquet, "parquet", "in.parquet"),
}
CHANGES: dict[str, Callable[[list[int]], list[int]]] = {
    "a value that was read": lambda numbers: [99 if n == 3 else n for n in numbers],
    "shorter than what was read": lambda numbers: numbers[:5],
    "a row more before": lambda numbers: [7, *numbers],
    "nothing left": lambda numbers: [],
}


def stopped(folder: Path, kind: str) -> Place:
    """A run that was killed after two of its four chunks."""
    make, source, name = KINDS[kind]
    place = Place(folder).through(make(list(range(ROWS))), source=source, name=name)
    text = (folder / "pipeline.yaml").read_text()
    place.put("pipeline.yaml", text + "settings: {chunk_rows: 10}\n")
    place.frame("run", "pipeline.yaml", environment={"FRAME_FAILPOINT": "after_commit:2=kill"})
    return place


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", KINDS)
def test_another_input_is_refused_with_both_hashes_and_the_first_one_goes_on(
    tmp_path: Path, kind: str, change: str
) -> None:
    make, _, name = KINDS[kind]
    place = stopped(tmp_path, kind)
    before = (tmp_path / name).read_bytes()
    place.put(name, make(CHANGES[change](list(range(ROWS)))))
    confirmed = (tmp_path / "out" / "out.jsonl.part").read_bytes()

    refused = place.inside("resume", "latest")

    assert refused.code == 8, refused.err
    assert name in refused.err
    assert len(set(re.findall(r"\b[0-9a-f]{64}\b", refused.err))) == 2, refused.err
    assert (tmp_path / "out" / "out.jsonl.part").read_bytes()[: len(confirmed)] == confirmed

    place.put(name, before)
    assert place.inside("resume", "latest").code == 0
    assert [int(row["id"]) for row in place.rows()] == list(range(ROWS))


def test_an_input_that_is_gone_is_named_and_the_run_goes_on_when_it_is_back(tmp_path: Path) -> None:
    place = stopped(tmp_path, "csv")
    (tmp_path / "in.csv").rename(tmp_path / "kept")

    gone = place.inside("resume", "latest")

    assert gone.code == 8, gone.err
    gone.says("in.csv")
    (tmp_path / "kept").rename(tmp_path / "in.csv")
    assert place.inside("resume", "latest").code == 0
    assert [int(row["id"]) for row in place.rows()] == list(range(ROWS))
