"""One wheel, one hash: what an installer adds does not count, what the wheel brought does."""

from pathlib import Path

import pytest
from frame.plugin.registry_identity import changed_files, is_editable, record_sha256
from importlib_metadata import Distribution

WHEEL = """\
acme/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0
acme/clean.py,sha256=RFXn0TJFvYUbTIcVQTWvd1bY3DHXN-ulO2GnnvcoBP0,120
acme-1.0.dist-info/METADATA,sha256=aGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd28,60
acme-1.0.dist-info/RECORD,,
"""
INSTALLED = (
    WHEEL
    + """\
../../../bin/acme,sha256=RFXn0TJFvYUbTIcVQTWvd1bY3DHXN-ulO2GnnvcoBP0,220
acme-1.0.dist-info/INSTALLER,sha256=zuuue4knoyJ-UwPPXg8fezS7VCrXJQrAP7zeNuwvFQg,4
acme-1.0.dist-info/REQUESTED,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0
acme-1.0.dist-info/direct_url.json,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,90
acme/__pycache__/clean.cpython-311.pyc,,
"""
)


def distribution(folder: Path, record: str | None, origin: str | None = None) -> Distribution:
    info = folder / "acme-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    for name, text in (("RECORD", record), ("direct_url.json", origin)):
        if text is not None:
            (info / name).write_text(text)
    return Distribution.at(info)


def test_the_hash_of_an_installed_wheel_is_that_of_the_wheel(tmp_path: Path) -> None:
    shuffled = "\n".join(sorted(INSTALLED.splitlines(), reverse=True))

    hashes = {
        record_sha256(distribution(tmp_path / name, record), ["acme.hooks"])
        for name, record in {"wheel": WHEEL, "installed": INSTALLED, "shuffled": shuffled}.items()
    }

    assert len(hashes) == 1


def test_another_file_in_the_wheel_is_another_hash(tmp_path: Path) -> None:
    other = WHEEL.replace("RFXn0", "RFXn1")

    one = record_sha256(distribution(tmp_path / "one", WHEEL), ["acme.hooks"])

    assert record_sha256(distribution(tmp_path / "two", other), ["acme.hooks"]) != one


@pytest.mark.parametrize(
    ("origin", "editable"),
    [
        ('{"dir_info": {"editable": true}, "url": "file:///src"}', True),
        ('{"dir_info": {}, "url": "file:///src"}', False),
        ('{"archive_info": {}, "url": "file:///acme.whl"}', False),
        ("[]", False),
        ("no json", False),
        (None, False),
    ],
)
def test_an_editable_installation_is_told_by_its_origin(
    tmp_path: Path, origin: str | None, editable: bool
) -> None:
    assert is_editable(distribution(tmp_path, WHEEL, origin)) is editable


def test_the_sources_of_an_editable_installation_are_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "acme_editable"
    source.mkdir()
    (source / "hooks.py").write_text("one = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    editable = distribution(tmp_path, WHEEL, '{"dir_info": {"editable": true}}')

    before = record_sha256(editable, ["acme_editable.hooks"])
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "hooks.pyc").write_bytes(b"compiled")
    compiled = record_sha256(editable, ["acme_editable.hooks"])
    (source / "hooks.py").write_text("one = 2\n")

    assert compiled == before
    assert record_sha256(editable, ["acme_editable.hooks"]) != before


def test_files_that_were_edited_or_removed_since_the_installation_are_named(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "__init__.py").touch()
    (tmp_path / "acme" / "clean.py").write_text("edited")

    changed = changed_files(distribution(tmp_path, INSTALLED))

    assert changed == ["acme/clean.py", "acme-1.0.dist-info/METADATA"]
