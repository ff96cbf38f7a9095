"""What is synced before what, and who may write at all."""

import contextlib
import os
import re
from pathlib import Path

import frame_files
import pytest
from frame_files.publish import PartFile

PACKAGE = Path(frame_files.__file__).parent


@pytest.fixture
def trace(monkeypatch):
    """The calls that make a file durable or give it its name, in order, with the file that they concern."""
    calls = []

    def record(name, real, target):
        def call(*args, **kwargs):
            calls.append((name, target(args[0])))
            return real(*args, **kwargs)

        return call

    def name_of(descriptor):
        return Path(f"/proc/self/fd/{descriptor}").readlink().name

    monkeypatch.setattr(os, "fsync", record("fsync", os.fsync, name_of))
    monkeypatch.setattr(os, "write", record("write", os.write, name_of))
    monkeypatch.setattr(os, "link", record("name", os.link, lambda path: Path(path).name))
    monkeypatch.setattr(Path, "replace", record("name", Path.replace, lambda path: path.name))
    return calls


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@pytest.mark.parametrize("mode", ["fail", "overwrite"])
def test_data_is_durable_before_its_position_is_told_and_before_it_gets_its_name(
    drive, tmp_path, trace, mode, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    sink = drive.opened("jsonl", tmp_path / "new" / "out", on_existing=mode)
    drive.put(sink, [{"a": 1}])
    sink.position()
    drive.put(sink, [{"a": 2}])
    sink.finish(drive.context())

    assert trace == [
        ("fsync", tmp_path.name),
        ("write", "out.part"),
        ("fsync", "out.part"),
        ("fsync", "new"),
        ("write", "out.part"),
        ("fsync", "out.part"),
        ("name", "out.part"),
        ("fsync", "new"),
    ]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_folders_that_a_killed_process_may_have_made_and_not_synced_are_synced(tmp_path, trace, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new" / "deep").mkdir(parents=True)

    with contextlib.closing(PartFile(str(tmp_path / "new" / "deep" / "out"))) as part:
        part.begin()
        part.write(b"x")

    assert trace == [("fsync", "new"), ("fsync", tmp_path.name), ("write", "out.part")]


def test_a_sync_that_failed_is_not_tried_again(tmp_path, monkeypatch):
    part = PartFile(str(tmp_path / "out"))
    part.begin()
    part.write(b"x")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        with pytest.raises(OSError, match=r"Input/output error: .*out.part"):
            part.sync()

    with pytest.raises(OSError, match=r"Input/output error: .*out.part"):
        part.sync()
    with pytest.raises(OSError, match=r"Input/output error"):
        part.write(b"y")
    part.close()


def test_only_one_module_opens_for_writing_syncs_and_renames():
    writes = re.compile(
        r"O_CREAT|O_WRONLY|O_RDWR|fsync\(|os\.(rename|replace|link|write)\(|\.(replace|rename)\(self|\.unlink\(|"
        r"write_(text|bytes)\(|open\([^)]*[\"'][wax+]b?[\"']"
    )

    found = {path.name for path in PACKAGE.glob("*.py") if writes.search(path.read_text("utf-8"))}

    assert found == {"publish.py"}


def test_every_option_of_every_plugin_has_a_description(drive):
    from frame_files.csv_sink import CsvSink
    from frame_files.csv_source import CsvSource
    from frame_files.jsonl_sink import JsonlSink
    from frame_files.jsonl_source import JsonlSource
    from frame_files.parquet_sink import ParquetSink
    from frame_files.parquet_source import ParquetSource

    for plugin in (CsvSource, CsvSink, JsonlSource, JsonlSink, ParquetSource, ParquetSink):
        assert plugin.__doc__
        assert [name for name, option in plugin.Config.model_fields.items() if not option.description] == []
