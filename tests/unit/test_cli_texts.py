"""Texts of the command line: safe on any terminal, and readable."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from frame import errors
from frame.cli.exit_codes import OF_ERRORS, ExitCode, of_error
from frame.cli.main import COMMANDS, main
from frame.cli.output import safe, visible
from frame.errors import Refused
from frame.operations import init
from frame.operations.stores import store_url
from hypothesis import given
from hypothesis import strategies as st

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command line in this process: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments, prog_name="frame")
        return ended.value.code or 0, *capsys.readouterr()  # type: ignore[return-value]

    return run


@given(st.text())
def test_no_text_can_move_the_cursor_or_turn_the_writing_around(text: str) -> None:
    shown = visible(text)

    assert shown.isprintable() or not shown.isascii()
    assert not set(shown) & set("\x1b\x07\x08\r\n\u202e\u2066\u200f\u2028")
    assert set(safe(text)) - set(shown) <= {"\n", "\t"}


def test_text_without_tricks_is_shown_as_it_is() -> None:
    assert visible("Grüße, 東京 → 1 €") == "Grüße, 東京 → 1 €"


def test_every_kind_of_error_has_an_exit_code_that_is_more_precise_than_a_bug() -> None:
    kinds = [
        thing
        for thing in vars(errors).values()
        if isinstance(thing, type) and issubclass(thing, errors.FrameError) and thing is not errors.FrameBug
    ]

    codes = {kind: next(code for base, code in OF_ERRORS if issubclass(kind, base)) for kind in kinds}

    assert ExitCode.BUG not in codes.values()
    assert codes[errors.UnusablePlugins] is ExitCode.PLUGIN
    assert codes[errors.TryAgainLater] is ExitCode.LATER
    assert of_error(KeyboardInterrupt()) is ExitCode.INTERRUPTED
    assert of_error(ValueError()) is ExitCode.BUG


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does(name: str) -> None:
    command = importlib.import_module(COMMANDS[name]).command

    shown = CliRunner().invoke(command, ["--help"])

    assert isinstance(command, click.Command)
    assert command.name == name
    assert shown.exit_code == 0
    assert len(command.get_short_help_str(100)) > 10


def test_help_lists_the_commands_in_the_order_of_use(frame: Command) -> None:
    code, out, _ = frame("--help")

    listed = [line.split()[0] for line in out.partition("Commands:")[2].splitlines() if line.strip()]
    assert (code, [name for name in listed if name in COMMANDS]) == (0, list(COMMANDS))


def test_plugins_are_listed_by_kind_and_described_with_their_options(frame: Command) -> None:
    _, listed, _ = frame("plugins", "list", "--kind", "gate")
    _, described, _ = frame("plugins", "info", "files.csv", "--kind", "sink")
    _, both, _ = frame("plugins", "info", "csv", "--json")

    assert listed.splitlines()[0] == "gates"
    assert "std.switch" in listed
    assert "files.csv" not in listed
    assert 'on_existing: "fail" or "overwrite" or "append", default "fail"' in described
    assert "package      frame-files" in described
    assert [each["kind"] for each in json.loads(both)["plugins"]] == ["source", "sink"]


def test_a_plugin_that_nobody_offers_gets_a_suggestion(frame: Command) -> None:
    code, out, err = frame("plugins", "info", "comput")

    assert (code, out) == (4, "")
    assert "no plugin is called 'comput'; did you mean compute?" in err


def test_the_schema_is_json_for_editors(frame: Command) -> None:
    code, out, _ = frame("schema")

    assert (code, json.loads(out)["title"]) == (0, "frame pipeline")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(frame: Command, shell: str) -> None:
    code, out, _ = frame("completion", shell)

    assert code == 0
    assert "_FRAME_COMPLETE" in out


def test_init_writes_a_pipeline_that_runs_and_whose_story_is_on_record(
    frame: Command, tmp_path: Path
) -> None:
    assert frame("init")[0] == 0

    valid = frame("validate", "pipeline.yaml")
    drawn = frame("graph", "pipeline.yaml")
    run = frame("run", "pipeline.yaml")
    shown = frame("runs", "show", "latest")
    told = frame("explain", "latest", "--row", "3")

    assert valid == (0, "pipeline.yaml is valid: 1 source, 1 transform, 1 gate, 3 sinks\n", "")
    assert drawn[1].startswith("flowchart TD")
    assert run[0] == 0
    assert (tmp_path / "out" / "large.csv").read_text().count("\n") == 4
    assert (tmp_path / "out" / "rejected.jsonl").read_text().count("\n") == 1
    assert "field 'price'" in shown[1]
    assert "+ total: 240.0" in told[1]
    assert "= success: gate routed, in large" in told[1]


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("mine")

    with pytest.raises(Refused, match=r"orders\.csv already"):
        init(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["orders.csv"]


def test_the_audit_store_is_the_one_that_was_named_or_the_one_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    init(tmp_path)
    beside = f"sqlite:///{tmp_path / '.frame' / 'audit.db'}"

    assert store_url("sqlite:///a.db", environ={"FRAME_AUDIT": "sqlite:///b.db"}) == "sqlite:///a.db"
    assert store_url(environ={"FRAME_AUDIT": "sqlite:///b.db"}) == "sqlite:///b.db"
    assert store_url(pipeline=tmp_path / "pipeline.yaml", environ={}) == beside
    assert store_url(environ={}) == beside


def announce(folder: Path, name: str, module: str, code: str, command: str = "hello") -> None:
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[frame.commands]\n{command} = {module}:command\n")


HELLO = """\
import click
@click.command()
def command():
    click.echo("hello from afar")
"""


def test_commands_of_other_distributions_are_named_in_help_and_imported_when_called(
    frame: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(tmp_path, "afar", "afar_commands", f"import sys; sys.stderr.write('imported')\n{HELLO}")
    monkeypatch.syspath_prepend(tmp_path)

    shown = frame("--help")
    called = frame("hello")

    assert (shown[0], shown[2]) == (0, "")
    assert "(from afar)" in shown[1]
    assert called == (0, "hello from afar\n", "imported")


def test_a_command_that_cannot_be_had_names_its_distribution_and_exits_with_4(
    frame: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(tmp_path, "broken-thing", "broken_commands", "import no_such_module_anywhere\n")
    announce(tmp_path, "one", "one_commands", HELLO, "twice")
    announce(tmp_path, "two", "two_commands", HELLO, "twice")
    monkeypatch.syspath_prepend(tmp_path)

    broken, twice = frame("hello"), frame("twice")

    assert (broken[0], twice[0]) == (4, 4)
    assert "broken-thing 1.0" in broken[2]
    assert "no_such_module_anywhere" in broken[2]
    assert "one and two both offer a command 'twice'" in twice[2]
