"""What a package offers is read from its manifest, and the manifest is held to the code."""

import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from frame.errors import PluginBroken, Refused, UsageError
from frame.operations import make_manifest
from frame.plugin import Kind
from frame.plugin.describe import describe
from frame.plugin.manifest import Manifest, read
from frame.plugin.manifest_file import FILE, ManifestError
from frame.plugin.manifest_making import described, manifest_of
from frame.plugin.registry import Registry
from frame.plugin.registry_package import Package, PackageState

from tests.unit.plugin_packages import CLEAN, HOOKS, Install, install

__all__ = ["install"]

DECLARED = CLEAN.replace("import Determinism,", "import Capabilities, Determinism, Effects,").replace(
    '        name = "clean"\n',
    """        name = "clean"
        capabilities = Capabilities(
            effects=Effects(network=False, process=False, filesystem=False, clock=False, random=False),
            batch=False, stateful=False, ordered=True, idempotent=True, thread_safe=True, personal_data=False,
        )
""",
)
Edit = Callable[[dict[str, Any]], object]


def package(name: str = "acme") -> Package:
    return next(each for each in Registry.discover().packages if each.name == name)


@pytest.fixture
def acme(install: Install) -> Callable[..., Path]:
    """The package `acme` with the manifest that its code makes, `edit` done to it, and none of it imported."""

    def make(edit: Edit = lambda _: None, **sources: str) -> Path:
        install("acme-tools", "acme", **({"clean": DECLARED} | sources))
        document = json.loads(manifest_of(package()).as_text())
        edit(document)
        spec = importlib.util.find_spec("frame_acme")
        assert spec is not None
        assert spec.origin is not None
        place = Path(spec.origin).with_name(FILE)
        place.write_text(json.dumps(document), encoding="utf-8")
        forget()
        return place

    return make


def forget() -> None:
    for name in imported():
        del sys.modules[name]


def imported() -> set[str]:
    return {name for name in sys.modules if name.startswith("frame_acme")}


def report_of(name: str = "acme") -> Any:
    return next(each for each in Registry.discover().doctor() if each.package == name)


def refused() -> str:
    with pytest.raises(PluginBroken) as raised:
        Registry.discover().find(Kind.TRANSFORM, "acme.clean")
    return str(raised.value)


def test_nothing_is_imported_to_list_and_to_tell_and_only_the_class_to_use(acme: Callable[..., Path]) -> None:
    acme(clean=DECLARED, other="raise SystemExit('imported!')\n")
    registry = Registry.discover()

    listed = [each.qualified for each in registry.list() if each.package == "acme"]
    told = registry.describe(Kind.TRANSFORM, "acme.clean")

    assert listed == ["acme.clean"]
    assert (told.summary, told.text, told.determinism) == ("Clean rows.", "More about it.", "deterministic")
    assert imported() == set()
    assert registry.find(Kind.TRANSFORM, "clean").plugin.__name__ == "Clean"
    assert imported() == {"frame_acme", "frame_acme.clean"}


def test_a_package_without_the_hook_in_its_manifest_is_not_asked(acme: Callable[..., Path]) -> None:
    acme()

    assert list(Registry.discover().extensions("frame_listeners")) == []
    assert imported() == set()


def test_a_package_that_implements_another_hook_says_so(acme: Callable[..., Path]) -> None:
    acme(
        hooks=HOOKS + "\n    @hookimpl\n    def frame_listeners():\n        return ['{module}.hooks:HEARD']\n"
        "    HEARD = 'I hear'\n"
    )

    assert package().manifest.hooks == ("frame_listeners",)  # type: ignore[union-attr]
    assert "I hear" in list(Registry.discover().extensions("frame_listeners"))


@pytest.mark.parametrize("name", ["files", "sql", "std"])
def test_a_manifest_tells_of_a_plugin_what_its_class_tells(name: str) -> None:
    registry = Registry.discover()
    made = next(each for each in registry.packages if each.name == name)

    for entry in manifest_of(made).plugins:
        read_again = type(entry).model_validate_json(entry.model_dump_json(by_alias=True))
        assert described(made, read_again) == describe(registry.find(entry.kind, f"{name}.{entry.name}"))


@pytest.mark.parametrize("name", ["files", "sql", "std"])
def test_our_own_manifests_are_what_the_code_says(name: str) -> None:
    assert make_manifest(name, write=False).is_current, f"frame plugins manifest {name}"


WRONG: Mapping[str, tuple[Edit, PackageState, str]] = {
    "a kind misspelt": (
        lambda it: it["plugins"][0].update(kind="tranform"),
        PackageState.BROKEN,
        'plugins[0].kind: "tranform" (did you mean "transform"?)',
    ),
    "a field too many": (lambda it: it.update(plugin=[]), PackageState.BROKEN, "plugin: extra inputs"),
    "a field too few": (lambda it: it.pop("version"), PackageState.BROKEN, "version: field required"),
    "no class": (
        lambda it: it["plugins"][0].update({"class": "clean"}),
        PackageState.BROKEN,
        "plugins[0].class: string should match",
    ),
    "a later schema": (
        lambda it: it.update(schema_version=2, news={}),
        PackageState.INCOMPATIBLE,
        "schema_version is 2, and this frame knows 1",
    ),
    "another version": (
        lambda it: it.update(version="9"),
        PackageState.BROKEN,
        "is of the version 9, and installed is 1.1",
    ),
    "another distribution": (
        lambda it: it.update(distribution="beta"),
        PackageState.BROKEN,
        "is of the distribution beta, and installed is acme-tools",
    ),
    "a later plugin API": (
        lambda it: it.update(plugin_api=[2, 3]),
        PackageState.INCOMPATIBLE,
        "needs plugin API 2 to 3",
    ),
}


@pytest.mark.parametrize(("edit", "state", "says"), WRONG.values(), ids=WRONG)
def test_a_manifest_that_cannot_be_used_is_told_without_an_import(
    acme: Callable[..., Path], edit: Edit, state: PackageState, says: str
) -> None:
    acme(edit)

    assert says in refused()
    report = report_of()
    assert (report.state, imported()) == (state, set())
    assert says in report.cause
    assert report.remedy


@pytest.mark.parametrize("text", ["", "[]", "{", '"text"', "\xff"])
def test_a_manifest_that_is_no_manifest_is_told_as_such(acme: Callable[..., Path], text: str) -> None:
    place = acme()
    place.write_bytes(text.encode("latin-1"))

    with pytest.raises(ManifestError, match=FILE):
        read(place)
    assert FILE in refused()


UNTRUE: Mapping[str, tuple[Edit, str]] = {
    "determinism": (
        lambda it: it["plugins"][0].update(determinism="seeded"),
        "determinism is deterministic, not seeded",
    ),
    "an effect": (
        lambda it: it["plugins"][0]["capabilities"]["effects"].update(network=True),
        "effects.network is False, not True",
    ),
    "capabilities that are not declared": (
        lambda it: it["plugins"][0].update(capabilities=None),
        "batch is False, not None",
    ),
    "the name": (lambda it: it["plugins"][0].update(name="scrub"), "is called 'scrub' in frame-plugin.json"),
}


@pytest.mark.parametrize(("edit", "says"), UNTRUE.values(), ids=UNTRUE)
def test_a_plugin_whose_manifest_says_what_its_class_does_not_is_refused(
    acme: Callable[..., Path], edit: Edit, says: str
) -> None:
    acme(edit)
    name = package().names(Kind.TRANSFORM).known[0].name

    with pytest.raises(PluginBroken) as raised:
        Registry.discover().find(Kind.TRANSFORM, f"acme.{name}")

    assert says in str(raised.value)


def test_doctor_finds_what_only_the_code_can_tell(acme: Callable[..., Path]) -> None:
    acme(lambda it: it["plugins"][0].update(summary="Does wonders."))

    report = report_of()

    assert Registry.discover().find(Kind.TRANSFORM, "acme.clean").name == "clean"
    assert report.state is PackageState.BROKEN
    assert '"Does wonders.", and the code "Clean rows."' in report.cause


def test_a_manifest_is_made_only_where_the_sources_are(acme: Callable[..., Path]) -> None:
    acme()

    with pytest.raises(Refused, match="pip install -e"):
        make_manifest("acme")
    with pytest.raises(UsageError, match="did you mean acme"):
        make_manifest("acmee")


def test_where_the_sources_are_edited_the_code_is_asked(acme: Callable[..., Path]) -> None:
    place = acme(lambda it: it["plugins"][0].update(name="scrub"))
    info = next(place.parent.parent.glob("*.dist-info"))
    (info / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')

    assert [known.name for known in package().names(Kind.TRANSFORM).known] == ["clean"]
    assert not make_manifest("acme", write=False).is_current
    assert make_manifest("acme").path == place
    assert make_manifest("acme", write=False).is_current
    assert isinstance(read(place), Manifest)
