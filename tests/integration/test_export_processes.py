"""The command in a process of its own: stopped, short of room, while a run is under way, and short of memory."""

import gzip
import json
import resource
import shutil
import signal
import sys
from pathlib import Path

import pytest
from frame.operations import generate_key, verify_export

from tests.integration.attacked import MEASURED, Place
from tests.integration.leaky import echoing
from tests.integration.test_secrets_canary import environment, found_in_what_was_told, found_under, leaky

FORMATS = ("jsonl", "csv", "parquet", "html", "openlineage", "prov")
PIPELINE = """
frame: 1
name: numbers
source: {plugin: jsonl, options: {path: in.jsonl}}
nodes:
  - {name: doubled, plugin: compute, options: {set: {twice: "row.n * 2"}}}
  - {name: sums, aggregate: {plugin: group_stats, options: {of: n, stats: [sum]}}}
sinks:
  out: {plugin: jsonl, options: {path: out/out.jsonl}}
"""
GROWTH = 1.25
"""The rule is flat memory. Twice the rows may take this much more, which is what allocation alone varies by here."""
NO_ROOM = 100_000


def place(folder: Path, rows: int) -> Place:
    here = Place(folder)
    here.put("in.jsonl", "".join(f'{{"n":{number}}}\n' for number in range(rows)))
    here.put("pipeline.yaml", PIPELINE)
    assert here.run("--quiet").code == 0
    return here


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return place(tmp_path_factory.mktemp("ran"), 20_000)


def beside(here: Place) -> list[str]:
    return sorted(path.name for path in here.folder.iterdir() if path.name.startswith((".x", "x")))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["jsonl", "csv"])
def test_an_export_that_is_stopped_leaves_nothing(ran: Place, number: signal.Signals, name: str) -> None:
    started = ran.start("export", "latest", "--format", name, "--out", "x").until(lambda: bool(beside(ran)))

    ended = started.signal(number).end()

    assert ended.code == 128 + number
    assert beside(ran) == []


@pytest.mark.parametrize("name", ["jsonl", "csv", "parquet", "prov"])
def test_an_export_that_finds_no_room_says_so_and_leaves_nothing(ran: Place, name: str) -> None:
    # SQLite keeps what it shares between processes in a file of 32 kB, which has to have room.
    limits = {resource.RLIMIT_FSIZE: NO_ROOM}

    ended = ran.frame("export", "latest", "--format", name, "--out", "x", limits=limits)

    assert ended.code == 6, ended.err
    ended.says("File too large", "Nothing of it was left behind")
    assert beside(ran) == []


def test_what_is_there_is_refused_before_anything_is_read(ran: Place) -> None:
    kept = ran.put("x.jsonl", "mine")

    ended = ran.inside("export", "latest", "--out", "x.jsonl")

    assert ended.code == 8
    ended.says("is there already", "--overwrite")
    assert kept.read_text() == "mine"
    kept.unlink()


def test_a_run_and_its_export_may_be_signed_by_two_keys(tmp_path: Path) -> None:
    here = Place(tmp_path)
    for name in ("run", "export"):
        generate_key(tmp_path / f"{name}.key", name)
    here.put("in.jsonl", '{"n":1}\n')
    here.put("pipeline.yaml", PIPELINE + "audit: {sign: run.key}\n")
    assert here.run("--quiet").code == 0
    assert here.inside("export", "latest", "--out", "x.jsonl", "--sign", "export.key").code == 0
    check, both = ("verify", "--export", "x.jsonl", "--key", "export.key.pub"), ("--key", "run.key.pub")

    one, two = here.inside(*check), here.inside(*check, *both)

    assert (one.code, two.code) == (7, 0)
    assert "there is no signature by a given key\n  at the checkpoint" in one.out


@pytest.mark.parametrize("victim", [".frame/audit.db", "pipeline.yaml"])
def test_only_an_export_is_overwritten_by_an_export(tmp_path: Path, victim: str) -> None:
    here = place(tmp_path, 3)
    before = (tmp_path / victim).read_bytes()

    ended = here.inside("export", "latest", "--out", victim, "--overwrite")

    assert (ended.code, (tmp_path / victim).read_bytes() == before) == (8, True)
    ended.says("is a file and no export", "name another place")


@pytest.mark.parametrize("name", ["jsonl", "html"])
def test_a_run_that_was_cut_off_is_exported_and_says_so(ran: Place, tmp_path: Path, name: str) -> None:
    ((before,),) = ran.on_record("SELECT max(run) FROM run_headers")
    (ran.folder / "out" / "out.jsonl").unlink(missing_ok=True)

    def has_begun() -> bool:
        return ran.on_record(f"SELECT count(*) FROM chunks WHERE run > {before}") > [(1,)]

    ran.start("run", "pipeline.yaml").until(has_begun).signal(signal.SIGKILL).end()

    ended = ran.frame("export", "latest", "--format", name, "--out", str(tmp_path / name))

    assert ended.code == 0, ended.err
    ended.says("no end on record")
    report = verify_export(tmp_path / name)
    assert report.ok, report.wrong
    text = (tmp_path / name).read_text("utf-8")
    if name == "jsonl":
        assert json.loads(text.partition("\n")[0])["status"] == "running"
    else:
        assert "no end on record" in text


def test_a_run_that_was_resumed_is_exported_whole(tmp_path: Path) -> None:
    here = place(tmp_path, 20_000)
    (tmp_path / "out" / "out.jsonl").unlink()

    def has_begun() -> bool:
        return here.on_record("SELECT count(*) FROM chunks WHERE run > 1") > [(1,)]

    here.start("run", "pipeline.yaml").until(has_begun).signal(signal.SIGKILL).end()
    resumed = here.frame("resume", "latest")
    assert resumed.code == 0, resumed.err

    ended = here.frame("export", "latest", "--out", "x.jsonl")

    assert ended.code == 0, ended.err
    report = verify_export(tmp_path / "x.jsonl")
    assert report.ok, (report.place, report.wrong)
    first = json.loads((tmp_path / "x.jsonl").read_text().partition("\n")[0])
    assert (first["status"], first["counters"]["rows"]) == ("completed", 20_000)


DEAD = """
frame: 1
name: dead
source: {plugin: jsonl, options: {path: in.jsonl}}
nodes:
  - {name: halves, plugin: compute, options: {set: {half: "100.0 / row.n"}}}
sinks:
  out: {plugin: jsonl, options: {path: out/out.jsonl, on_existing: append}}
"""


def test_a_run_that_carries_on_tokens_of_another_is_exported_whole(tmp_path: Path) -> None:
    here = Place(tmp_path)
    here.put("in.jsonl", '{"n": 1.0}\n{"n": "no number"}\n')
    here.put("pipeline.yaml", DEAD)
    here.frame("run", "pipeline.yaml")
    here.frame("dead-letters", "retry", "latest", "--all")

    for name in FORMATS:
        ended = here.frame("export", "latest", "--format", name, "--out", name)
        assert ended.code == 0, ended.err

    reports = [verify_export(tmp_path / name) for name in FORMATS]
    assert [(report.place, report.wrong) for report in reports if not report.ok] == []
    lines = [json.loads(line) for line in (tmp_path / "jsonl").read_text().splitlines()]
    (carried,) = [line for line in lines if line["record"] == "token"]
    (kept,) = [line for line in lines if line["record"] == "payload" and line["kind"] == "rows"]
    assert (carried["origin"], carried["origin_token"]) == ("carried", 1)
    assert lines[0]["origin_kind"] == "dead_letters"
    assert json.loads(kept["data"]) == {"n": "no number"}


def test_a_run_of_an_old_frame_is_exported_and_says_that_it_proves_nothing(tmp_path: Path) -> None:
    stored = Path(__file__).parents[1] / "golden" / "stores" / "v1.db.gz"
    (tmp_path / "old.db").write_bytes(gzip.decompress(stored.read_bytes()))
    here = Place(tmp_path)

    told = [
        here.frame("export", "01a1", "--audit", "sqlite:///old.db", "--format", name, "--out", name)
        for name in FORMATS
    ]

    assert [each.err for each in told if each.code] == []
    assert all("proves nothing" in each.err for each in told)
    assert "cannot be proven" in (tmp_path / "html").read_text("utf-8")
    assert "no chain" in verify_export(tmp_path / "jsonl").wrong
    rows = [line for line in (tmp_path / "jsonl").read_text().splitlines() if '"record":"row"' in line]
    assert len(rows) == 8


def measured(here: Place, name: str) -> int:
    peak = here.folder / "peak"
    ended = here.frame(
        "export", "latest", "--format", name, "--out", "x", python=("-c", MEASURED, str(peak), sys.executable)
    )
    assert ended.code == 0, ended.err
    remove = shutil.rmtree if (here.folder / "x").is_dir() else Path.unlink
    remove(here.folder / "x")
    (here.folder / "x.manifest.json").unlink(missing_ok=True)
    return int(peak.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_memory_is_flat(ran: Place, tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    small = place(tmp_path_factory.mktemp("small"), 2_000)

    assert measured(ran, name) < GROWTH * measured(small, name)


def test_a_secret_is_in_no_export(tmp_path: Path) -> None:
    with echoing() as (url, _):
        here = leaky(tmp_path, url)
        ran = here.frame("run", "pipeline.yaml", environment=environment(here))
        assert ran.code == 0, ran.err

        told = [
            here.frame("export", "latest", "--format", name, "--out", f"exports/{name}", "--debug")
            for name in FORMATS
        ]

    assert [each.err for each in told if each.code] == []
    assert len(list((tmp_path / "exports").iterdir())) == len(FORMATS) + 3
    assert found_in_what_was_told(*told) == []
    assert found_under(tmp_path) == []
