"""A distinctive secret goes into every place for secrets, plugins say it wherever they can: it is found nowhere."""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
import zstandard

from tests.integration.attacked import Ended, Place
from tests.integration.leaky import CANARY, PIPELINE, echoing, install, shapes

GIVEN = ("keys", "mounted", "leaky", "leaky-1.0.dist-info")
"""What the test itself puts into the folder: the secrets, and the code that has them."""

ENVIRONMENT = {"CANARY": CANARY, "CANARY_URL": quote(CANARY, safe=""), "FRAME_SECRETS_DIR": "mounted"}
EXPORTS = ("jsonl", "csv", "parquet", "html", "openlineage", "prov")
WELL: Mapping[str, str] = {"source": '""', "transform": '""', "gate": '""', "sink": '""'}


@pytest.fixture(scope="module")
def echo() -> Iterator[tuple[str, list[bytes]]]:
    with echoing() as address_and_heard:
        yield address_and_heard


def leaky(folder: Path, url: str, **how: str) -> Place:
    place = Place(folder)
    install(folder)
    place.put("keys/canary", f"{CANARY}\n")
    place.put("mounted/mounted", CANARY)
    place.put("tmp/.keep", "")
    place.put("pipeline.yaml", PIPELINE % {**WELL, **how, "url": url})
    return place


def environment(place: Place, url: str = "") -> dict[str, str]:
    exporting = {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
    }
    return {**ENVIRONMENT, "TMPDIR": str(place.folder / "tmp"), **(exporting if url else {})}


def kept_bytes(database: Path) -> Iterator[bytes]:
    """Every value in every table, unpacked where it is packed."""
    with closing(sqlite3.connect(database)) as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in store.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    data = value if isinstance(value, bytes) else str(value).encode()
                    packed = data.startswith(zstandard.FRAME_HEADER) if data else False
                    yield zstandard.ZstdDecompressor().decompressobj().decompress(data) if packed else data


def found_in(name: str, data: bytes) -> list[str]:
    return [f"{name}: {shape}" for shape, form in shapes().items() if form in data]


def found_under(folder: Path) -> list[str]:
    """Where in the folder the secret is, and in which shape; the database is searched inside, too."""
    found: list[str] = []
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).parts[0] not in GIVEN:
            found += found_in(str(path.relative_to(folder)), path.read_bytes())
    for data in kept_bytes(folder / ".frame" / "audit.db"):
        found += found_in("a value in the database", data)
    return found


def found_in_what_was_told(*ends: Ended) -> list[str]:
    return [each for ended in ends for each in found_in("output", (ended.out + ended.err).encode())]


def test_a_secret_is_nowhere_while_a_run_is_under_way_and_after_it(
    tmp_path: Path, echo: tuple[str, list[bytes]]
) -> None:
    url, heard = echo
    place = leaky(tmp_path, url, sink="wait")
    started = place.start(
        "run", "pipeline.yaml", "-vv", "--debug", "--json", environment=environment(place, url.rstrip("/"))
    ).until((tmp_path / "written").exists)
    process = Path("/proc") / str(started.process.pid)
    under_way = found_under(tmp_path) + found_in("argv", (process / "cmdline").read_bytes())
    limits = (process / "limits").read_text()
    has_wal = (tmp_path / ".frame" / "audit.db-wal").exists()

    place.put("go", "")
    ended = started.end()
    told = [
        place.frame(*command, environment=environment(place))
        for command in (
            ("validate", "pipeline.yaml", "--json"),
            ("graph", "pipeline.yaml"),
            ("runs", "show", "latest", "--json"),
            ("runs", "list"),
            *(("explain", "latest", "--row", str(n)) for n in (0, 3, 5)),
            ("verify", "latest", "--json"),
            ("replay", "latest", "--json"),
            ("dead-letters", "list", "latest"),
            *(("export", "latest", "--format", name, "--out", f"exported.{name}") for name in EXPORTS),
            ("audit", "backup", "--to", "copy.db"),
        )
    ]

    assert ended.code == 0, ended.err
    assert [(each.code, each.out, each.err) for each in told if each.code] == []
    assert has_wal
    assert re.search(r"Max core file size +0 ", limits)
    assert under_way == []
    assert found_in_what_was_told(ended, *told) == []
    assert found_under(tmp_path) == []
    assert heard, "the collector got spans"
    assert [each for body in heard for each in found_in("spans", body)] == []
    assert "[secret]" in ended.err
    ((asked, answered),) = place.on_record("SELECT count(*), count(answer_sha256) FROM calls")
    assert asked > answered > 0, "the server's echo is on record, redacted"


FAULTS = [
    ("source", "check"),
    ("source", "init"),
    ("source", "read"),
    ("transform", "start"),
    ("gate", "finish"),
    ("gate", "close"),
    ("sink", "open"),
    ("sink", "write"),
]


@pytest.mark.parametrize(("node", "step"), FAULTS)
def test_an_error_that_ends_a_run_tells_no_secret(
    tmp_path: Path, echo: tuple[str, list[bytes]], node: str, step: str
) -> None:
    place = leaky(tmp_path, echo[0], **{node: step})

    ended = place.frame("run", "pipeline.yaml", "-vv", "--debug", "--json", environment=environment(place))

    assert ended.code == (
        0 if step == "close" else 3 if step == "init" else 6 if step in ("read", "write") else 4
    )
    assert found_in_what_was_told(ended) == []
    assert "[secret]" in ended.err
    if step not in ("check", "init"):
        assert found_under(tmp_path) == []


def test_a_secret_that_is_too_short_to_be_hidden_is_warned_of(
    tmp_path: Path, echo: tuple[str, list[bytes]]
) -> None:
    place = leaky(tmp_path, echo[0])
    place.put("keys/canary", "123\n")

    ends = [
        place.frame(*command, environment=environment(place))
        for command in (("validate", "pipeline.yaml", "--json"), ("run", "pipeline.yaml"))
    ]

    assert [ended.code for ended in ends] == [0, 0]
    for ended in ends:
        ended.says("warning: ", "${secret:file:keys/canary} has fewer than 4 characters")
    assert '"warnings":["${secret:file:keys/canary}' in ends[0].out


@pytest.mark.parametrize(
    "command",
    [("run", "pipeline.yaml", "--audit"), ("runs", "list", "--audit"), ("audit", "init")],
)
def test_a_password_is_not_taken_from_the_command_line(tmp_path: Path, command: tuple[str, ...]) -> None:
    url = f"postgresql://me:{quote(CANARY, safe='')}@127.0.0.1:1/audit"

    ended = Place(tmp_path).through("id\n1\n").frame(*command, url)

    assert ended.code == 2
    ended.says("a password on the command line can be read by every process", "PGPASSWORD", "FRAME_AUDIT")
    assert found_in_what_was_told(ended) == []


def test_a_provider_is_asked_once_for_each_secret(tmp_path: Path, echo: tuple[str, list[bytes]]) -> None:
    place = leaky(tmp_path, echo[0])

    place.frame("validate", "pipeline.yaml", environment=environment(place))

    # Once by its short and once by its qualified name.
    assert (tmp_path / "asked").read_text().split() == ["team/key", "team/key"]


@pytest.mark.parametrize(
    ("written", "code", "words"),
    [
        ("vault:none", 3, ("${secret:vault:none}", "'vault' has no such secret")),
        ("vault:empty", 3, ("${secret:vault:empty} is empty",)),
        ("vault:broken", 4, ("${secret:vault:broken}", "ZeroDivisionError: the vault is sealed")),
        ("vault:number", 4, ("${secret:vault:number}", "gave int instead of text")),
        ("vualt:x", 4, ("${secret:vualt:x}", "no secret provider", "did you mean vault")),
        ("other.vault:x", 4, ("${secret:other.vault:x}", "no secret provider")),
        ("file:none", 3, ("${secret:file:none}", "there is no file")),
    ],
)
def test_a_secret_that_cannot_be_had_is_named_with_its_place_and_nothing_is_made(
    tmp_path: Path, echo: tuple[str, list[bytes]], written: str, code: int, words: tuple[str, ...]
) -> None:
    place = leaky(tmp_path, echo[0])
    text = (tmp_path / "pipeline.yaml").read_text().replace("vault:team/key}", f"{written}}}", 1)
    place.put("pipeline.yaml", text)

    ended = place.run(environment=environment(place))

    assert ended.code == code, ended.err
    ended.says("pipeline.yaml:13:", "nodes[1] (sorts).options.key", *words)
    assert not (tmp_path / ".frame").exists()
