"""What an export holds stays in its place, and what somebody puts into one is not followed out of it."""

import json
from pathlib import Path

import pytest
from frame.operations import export, run, verify_export

from tests.integration.attacked import Place

FORMATS = ("jsonl", "csv", "parquet", "html", "openlineage", "prov")
ODD = '{"../../../x": "../y", "/abs": "/etc/passwd", "name": "a/../../b", "con": "CON"}\n'


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("ran")).through(ODD, source="jsonl")
    run(place.folder / "pipeline.yaml")
    return place


def exported(ran: Place, folder: Path, format: str) -> Path:  # noqa: A002 - as in `export`
    url = f"sqlite:///{ran.folder}/.frame/audit.db"
    return export("latest", format=format, out=folder / "in" / "export", audit=url).path  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_has_ordinary_files_in_one_folder_and_nothing_elsewhere(
    ran: Place, tmp_path: Path, name: str
) -> None:
    path = exported(ran, tmp_path, name)

    made = [each for each in tmp_path.rglob("*") if not each.is_dir()]
    assert made
    assert all(each.is_file() and not each.is_symlink() for each in made)
    assert {each.parent for each in made} <= {path, path.parent}
    assert verify_export(path).ok


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_a_link_in_an_export_is_not_followed(ran: Place, tmp_path: Path, name: str) -> None:
    path = exported(ran, tmp_path, name)
    sheet = min(each for each in path.iterdir() if "manifest" not in each.name)
    sheet.rename(tmp_path / "elsewhere")
    sheet.symlink_to("../../elsewhere")

    report = verify_export(path)

    assert not report.ok
    assert "is not an ordinary file" in report.wrong


@pytest.mark.parametrize("outside", ["../../elsewhere", "{tmp}/elsewhere"])
@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_a_manifest_that_names_a_file_elsewhere_is_refused(
    ran: Place, tmp_path: Path, name: str, outside: str
) -> None:
    path = exported(ran, tmp_path, name)
    (manifest,) = path.glob("*manifest*")
    said = json.loads(manifest.read_bytes())
    first = min(said["files"])
    (path / first).rename(tmp_path / "elsewhere")
    said["files"][outside.format(tmp=tmp_path)] = said["files"].pop(first)
    manifest.write_text(json.dumps(said))

    report = verify_export(path)

    assert not report.ok
    assert "the manifest names" in report.wrong
