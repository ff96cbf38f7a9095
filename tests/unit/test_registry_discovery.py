"""Packages made on the spot in tmp_path: how plugins are found, and what happens when they cannot be."""

import importlib
import logging
import pickle
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from frame.errors import PackageConflict, PluginBroken, PluginConflict, PluginError, PluginNotFound
from frame.plugin import Determinism, Kind, PluginConfig, Transform
from frame.plugin.registry import Registry
from frame.plugin.registry_package import PackageState
from frame.rows import Row

from tests.unit.plugin_packages import CLEAN, HOOKS, Install, install

__all__ = ["install"]


def error_of(kind: Kind, name: str) -> PluginError:
    with pytest.raises(PluginError) as raised:
        Registry.discover().find(kind, name)
    return raised.value


@pytest.mark.parametrize("name", ["clean", "acme.clean"])
def test_a_plugin_is_found_by_its_own_and_by_its_qualified_name(install: Install, name: str) -> None:
    install("acme-tools", "acme")

    found = Registry.discover().find(Kind.TRANSFORM, name)

    assert (found.qualified, found.package, found.distribution, found.version, found.api) == (
        "acme.clean",
        "acme",
        "acme-tools",
        "1.1",
        1,
    )
    assert found.plugin.__module__ == "frame_acme.clean"
    assert len(found.record_sha256) == 64


def test_discovery_imports_nothing_and_a_search_imports_as_little_as_it_can(install: Install) -> None:
    install("acme-tools", "acme", clean=CLEAN, other=CLEAN.replace('"clean"', '"other"'))
    install("beta-tools", "beta", clean=CLEAN.replace('"clean"', '"scrub"'))

    def imported() -> set[str]:
        return {name for name in sys.modules if name.startswith(("frame_acme.", "frame_beta."))}

    registry = Registry.discover()
    assert imported() == set()

    registry.find(Kind.TRANSFORM, "acme.clean")
    assert imported() == {"frame_acme.hooks", "frame_acme.clean"}

    registry.list()
    assert imported() == {"frame_acme.hooks", "frame_acme.clean", "frame_beta.hooks"}

    registry.find(Kind.TRANSFORM, "scrub")
    assert "frame_beta.clean" in imported()


def test_listing_tells_names_and_summaries_without_running_a_plugin(install: Install) -> None:
    install("acme-tools", "acme", clean=CLEAN + "\n    raise SystemExit('imported!')\n")

    listed = [each for each in Registry.discover().list() if each.package == "acme"]

    assert [(each.kind, each.qualified, each.summary) for each in listed] == [
        (Kind.TRANSFORM, "acme.clean", "Clean rows.")
    ]


def test_a_name_that_the_source_does_not_spell_out_is_learned_by_an_import(install: Install) -> None:
    made = CLEAN.replace('name = "clean"', 'name = "-".join(["dry", "clean"])')
    install("acme-tools", "acme", clean=made)

    assert Registry.discover().find(Kind.TRANSFORM, "dry-clean").qualified == "acme.dry-clean"


def test_a_class_may_be_offered_itself_and_may_have_its_name_from_a_base(install: Install) -> None:
    inherits = CLEAN + "\n    class Cleaner(Clean):\n        pass\n"
    offers = """
        from frame.plugin import hookimpl
        from {module}.clean import Cleaner

        @hookimpl
        def frame_transforms():
            return [Cleaner]
    """
    install("acme-tools", "acme", clean=inherits, hooks=offers)
    install("beta-tools", "beta", clean=inherits, hooks=HOOKS.replace(":Clean", ":Cleaner"))

    registry = Registry.discover()

    assert registry.find(Kind.TRANSFORM, "acme.clean").plugin.__name__ == "Cleaner"
    assert registry.find(Kind.TRANSFORM, "beta.clean").plugin.__name__ == "Cleaner"
    assert "frame_beta.clean" in sys.modules


def test_a_class_that_extends_an_imported_one_of_its_own_name_is_found(install: Install) -> None:
    extends = """
        from {module}.base import Clean

        class Clean(Clean):
            pass
    """
    install("acme-tools", "acme", base=CLEAN, clean=extends)

    assert Registry.discover().find(Kind.TRANSFORM, "clean").plugin.__module__ == "frame_acme.clean"


def test_two_packages_with_one_name_conflict_only_where_the_short_name_is_used(install: Install) -> None:
    install("acme-tools", "acme")
    install("beta-tools", "beta")

    error = error_of(Kind.TRANSFORM, "clean")

    assert isinstance(error, PluginConflict)
    assert error.qualified == ("acme.clean", "beta.clean")
    assert Registry.discover().find(Kind.TRANSFORM, "beta.clean").distribution == "beta-tools"


def test_two_distributions_that_announce_one_package_are_both_named(install: Install) -> None:
    install("acme-csv", "csv", module="frame_one")
    install("evil-csv", "csv", module="frame_two")

    qualified = error_of(Kind.TRANSFORM, "csv.clean")
    short = error_of(Kind.TRANSFORM, "clean")

    assert isinstance(qualified, PackageConflict)
    assert set(qualified.distributions) == {"acme-csv 1.1", "evil-csv 1.2"}
    assert "acme-csv 1.1" in str(short)
    assert "evil-csv 1.2" in str(short)
    assert not {"frame_one.hooks", "frame_two.hooks"} & set(sys.modules)


def test_one_distribution_seen_twice_on_the_path_counts_once(install: Install) -> None:
    install("acme-tools", "acme")
    install("Acme_Tools", "acme")

    assert Registry.discover().find(Kind.TRANSFORM, "acme.clean").version == "1.2"


def test_a_name_of_ours_cannot_be_taken_by_another_distribution(install: Install) -> None:
    install("evil-tools", "local")

    error = error_of(Kind.TRANSFORM, "local.clean")

    assert isinstance(error, PluginBroken)
    assert "'local' cannot name a package" in str(error)


BROKEN_PACKAGES = {
    "hook module raises": ({"hooks": "raise OSError('no disk')"}, "OSError: no disk"),
    "hook module exits": ({"hooks": "raise SystemExit(3)"}, "SystemExit: 3"),
    "a dependency is missing": ({"hooks": "import not_there"}, "No module named 'not_there'"),
    "syntax error": ({"hooks": "def f(:\n"}, "SyntaxError"),
    "unknown hook": (
        {"hooks": HOOKS.replace("frame_transforms", "frame_tranforms")},
        "no hook 'frame_tranforms'; did you mean frame_transforms?",
    ),
    "hook takes arguments": ({"hooks": HOOKS.replace("transforms()", "transforms(config)")}, "config"),
    "mark forgotten": ({"hooks": HOOKS.replace("@hookimpl", "")}, "put @hookimpl above it"),
    "no hook at all": ({"hooks": ""}, "implements no hook"),
    "hook returns a string": ({"hooks": HOOKS.replace("[", "").replace("]", "")}, "not a list"),
    "hook returns nonsense": (
        {"hooks": HOOKS.replace('"{module}.clean:Clean"', "17")},
        'neither a class nor "module:Class"',
    ),
    "hook raises": ({"hooks": HOOKS.replace("return", "return 1 / 0,")}, "ZeroDivisionError"),
}


@pytest.mark.parametrize(("sources", "cause"), BROKEN_PACKAGES.values(), ids=BROKEN_PACKAGES)
def test_a_broken_package_says_why_and_is_in_nobody_elses_way(
    install: Install, sources: dict[str, str], cause: str
) -> None:
    install("acme-tools", "acme", **sources)
    install("beta-tools", "beta", clean=CLEAN.replace('"clean"', '"scrub"'))

    qualified = error_of(Kind.TRANSFORM, "acme.clean")
    short = error_of(Kind.TRANSFORM, "clean")
    report = next(each for each in Registry.discover().doctor() if each.package == "acme")

    assert isinstance(qualified, PluginBroken)
    assert (qualified.distribution, qualified.version) == ("acme-tools", "1.1")
    assert cause in str(qualified)
    assert isinstance(short, PluginNotFound)
    assert any(cause in broken for broken in short.broken)
    assert Registry.discover().find(Kind.TRANSFORM, "scrub").package == "beta"
    assert report.state is PackageState.BROKEN
    assert cause in report.cause
    assert report.remedy


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("FRAME_API = 2", "needs plugin API 2, and this frame has 1"),
        ("FRAME_API = (2, 4)", "needs plugin API 2 to 4"),
        ("FRAME_API = (0, 0)", "needs plugin API 0"),
    ],
)
def test_a_package_for_another_plugin_api_is_incompatible(install: Install, line: str, says: str) -> None:
    install("acme-tools", "acme", hooks=dedent(HOOKS) + line)

    report = next(each for each in Registry.discover().doctor() if each.package == "acme")

    assert report.state is PackageState.INCOMPATIBLE
    assert says in report.cause
    assert says in str(error_of(Kind.TRANSFORM, "acme.clean"))


def test_a_package_that_knows_several_plugin_apis_is_used(install: Install) -> None:
    install("acme-tools", "acme", hooks=dedent(HOOKS) + "FRAME_API = (1, 3)")

    assert Registry.discover().find(Kind.TRANSFORM, "acme.clean").name == "clean"


BROKEN_CLASSES = {
    "wrong kind": (CLEAN.replace("Clean(Transform)", "Clean(Sink)"), "is a sink"),
    "no plugin": (CLEAN.replace("Clean(Transform)", "Clean"), "is no plugin"),
    "no determinism": (CLEAN.replace("determinism =", "deterministic ="), "does not say its determinism"),
    "text as determinism": (CLEAN.replace("Determinism.DET", "'det' or Determinism.DET"), "determinism"),
    "foreign Config": (CLEAN + "    Clean.Config = dict\n", "no subclass of frame.plugin.PluginConfig"),
    "unknown api": (CLEAN + "    Clean.api = 9\n", "written for plugin API 9"),
    "no work": (CLEAN.replace("def process", "def proces"), "does not define process or process_many"),
    "another name when imported": (
        CLEAN + "    Clean.name = 'dirty'\n",
        "in its source and 'dirty' when imported",
    ),
    "no such class": (CLEAN.replace("class Clean", "class Clear"), "has no attribute 'Clean'"),
    "import fails": (CLEAN + "    import not_there\n", "No module named 'not_there'"),
}


@pytest.mark.parametrize(("clean", "cause"), BROKEN_CLASSES.values(), ids=BROKEN_CLASSES)
def test_a_class_that_breaks_its_promises_is_refused_with_the_cause(
    install: Install, clean: str, cause: str
) -> None:
    install("acme-tools", "acme", clean=clean)

    report = next(each for each in Registry.discover().doctor() if each.package == "acme")
    error = error_of(Kind.TRANSFORM, "acme.clean")

    assert report.state is PackageState.BROKEN
    assert cause in report.cause
    assert cause in str(error)


def test_a_class_is_told_all_its_faults_at_once(install: Install) -> None:
    bad = CLEAN.replace("determinism =", "deterministic =").replace("def process", "def proces")
    install("acme-tools", "acme", clean=bad)

    error = error_of(Kind.TRANSFORM, "clean")

    assert "determinism" in str(error)
    assert "process_many" in str(error)


def test_a_package_that_offers_one_name_twice_is_broken(install: Install) -> None:
    twice = HOOKS.replace('"]', '", "{module}.again:Clean"]')
    install("acme-tools", "acme", hooks=twice, again=CLEAN)

    assert "two plugins of kind transform called 'clean'" in str(error_of(Kind.TRANSFORM, "acme.clean"))


def test_doctor_names_the_working_plugins_of_a_package_that_is_half_broken(install: Install) -> None:
    both = HOOKS.replace('"]', '", "{module}.gone:Gone"]')
    install("acme-tools", "acme", hooks=both)

    report = next(each for each in Registry.discover().doctor() if each.package == "acme")

    assert report.plugins == ((Kind.TRANSFORM, "acme.clean"),)
    assert report.state is PackageState.BROKEN
    assert "frame_acme.gone" in report.cause
    assert "Traceback" in report.traceback
    assert Registry.discover().find(Kind.TRANSFORM, "clean").name == "clean"


def test_an_unknown_name_suggests_near_ones(install: Install) -> None:
    install("acme-tools", "acme")

    short, qualified = error_of(Kind.TRANSFORM, "claen"), error_of(Kind.TRANSFORM, "acme.claen")

    assert isinstance(short, PluginNotFound)
    assert "clean" in short.near
    assert isinstance(qualified, PluginNotFound)
    assert "acme.clean" in qualified.near
    assert pickle.loads(pickle.dumps(short)).near == short.near


def test_a_name_of_another_kind_is_pointed_out(install: Install) -> None:
    install("acme-tools", "acme")

    error = error_of(Kind.SINK, "clean")

    assert "there is a transform called 'clean', no sink" in str(error)


@pytest.mark.parametrize(
    ("distribution", "package", "suspect"),
    [
        ("frarne-csv", "csv", True),
        ("acme-tools", "flies", True),
        ("acme-fi1es", "fi1es", True),
        ("frame-file", "ledger", True),
        ("acme-tools", "ledger", False),
    ],
)
def test_a_package_that_looks_like_another_is_warned_about(
    install: Install, caplog: pytest.LogCaptureFixture, distribution: str, package: str, suspect: bool
) -> None:
    install(distribution, package)

    with caplog.at_level(logging.WARNING, "frame.plugins"):
        Registry.discover().find(Kind.TRANSFORM, f"{package}.clean")
    report = next(each for each in Registry.discover().doctor() if each.package == package)

    assert bool(caplog.records) is suspect
    assert any("is it the one" in warning for warning in report.warnings) is suspect


def test_a_distribution_with_garbage_for_metadata_stops_nobody(install: Install, tmp_path: Path) -> None:
    install("acme-tools", "acme")
    info = tmp_path / "site1" / "junk-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_bytes(b"Name: junk\nVersion: 1\n")
    (info / "entry_points.txt").write_bytes(b"[frame.plugins\n\xff\xfe = = =\nframe.plugins")

    assert Registry.discover().find(Kind.TRANSFORM, "clean").package == "acme"


def test_the_hash_of_a_package_without_a_record_follows_its_sources(install: Install, tmp_path: Path) -> None:
    install("acme-tools", "acme")
    before = Registry.discover().find(Kind.TRANSFORM, "clean").record_sha256

    same = Registry.discover().find(Kind.TRANSFORM, "clean").record_sha256
    (tmp_path / "site1" / "frame_acme" / "table.csv").write_text("a,b\n")
    after = Registry.discover().find(Kind.TRANSFORM, "clean").record_sha256

    assert same == before
    assert after != before


class Shout(Transform):
    """Write in capitals."""

    name = "clean"
    determinism = Determinism.DETERMINISTIC

    class Config(PluginConfig):
        """No options."""

    def process(self, row: Row, context: object) -> dict[str, object]:
        return {name: str(value).upper() for name, value in row.items()}


def test_a_registry_of_classes_knows_them_and_nothing_else() -> None:
    registry = Registry.of([Shout])

    assert [each.qualified for each in registry.list()] == ["local.clean"]
    assert registry.find(Kind.TRANSFORM, "clean") == registry.find(Kind.TRANSFORM, "local.clean")
    assert registry.find(Kind.TRANSFORM, "clean").plugin is Shout
    with pytest.raises(PluginNotFound):
        registry.find(Kind.SOURCE, "csv")


def test_a_class_handed_in_is_meant_by_the_short_name(install: Install) -> None:
    install("acme-tools", "acme")

    registry = Registry.discover().with_plugins(Shout)

    assert registry.find(Kind.TRANSFORM, "clean").plugin is Shout
    assert registry.find(Kind.TRANSFORM, "acme.clean").package == "acme"


def test_a_class_handed_in_has_to_keep_the_promises_too() -> None:
    class Mute(Transform):
        name = "to.mute"

    with pytest.raises(PluginBroken, match=r"has the name 'to\.mute'.*does not say its determinism"):
        Registry.of([Mute]).identify(Mute)


def test_an_installed_class_is_pinned_by_its_distribution_even_when_used_in_code(install: Install) -> None:
    install("acme-tools", "acme")
    registry = Registry.discover()
    plugin = importlib.import_module("frame_acme.clean").Clean

    assert registry.identify(plugin) == registry.find(Kind.TRANSFORM, "acme.clean")
    assert registry.identify(Shout).distribution == ""
    assert registry.identify(Shout).record_sha256


def test_listeners_of_installed_packages_are_loaded_when_asked_for(install: Install) -> None:
    hooks = HOOKS + "\n    @hookimpl\n    def frame_listeners():\n        return ['{module}.clean:Clean']\n"
    install("acme-tools", "acme", hooks=hooks)

    offered = list(Registry.discover().extensions("frame_listeners"))

    assert [each.__name__ for each in offered if isinstance(each, type)] == ["Clean"]
