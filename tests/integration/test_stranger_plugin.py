"""A package that frame has never heard of, installed by pip into an environment of its own, works by name."""

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OURS = ("frame", "_editable", "__editable", "a1_coverage", "stranger")


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False)


def succeed(*command: str | Path) -> None:
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with frame, its file plugins and the stranger's, each installed from a wheel.

    Third-party packages are those of the environment that runs the tests, so that no index is asked.
    """
    home = tmp_path_factory.mktemp("stranger")
    venv.create(home / "env", with_pip=False, symlinks=True)
    python = home / "env" / "bin" / "python"
    third_party = home / "third-party"
    third_party.mkdir()
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        if not installed.name.startswith(OURS) and installed.suffix != ".pth":
            (third_party / installed.name).symlink_to(installed)
    purelib = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    (Path(purelib) / "third-party.pth").write_text(f"{third_party}\n")

    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    offline = ("--no-deps", "--no-index")
    sources = (ROOT / "core", ROOT / "plugins" / "frame-files", HERE / "stranger")
    succeed(*pip, "wheel", *offline, "--no-build-isolation", "-w", home / "wheels", *sources)
    wheels = sorted((home / "wheels").glob("*.whl"))
    assert [wheel.name.partition("-")[0] for wheel in wheels] == [
        "frame_core",
        "frame_files",
        "stranger_plugins",
    ]
    succeed(*pip, "--python", python, "install", *offline, *wheels)
    return home / "env" / "bin"


FIND = """
import json
from frame.plugin import Kind
from frame.plugin.registry import Registry
registry = Registry.discover()
found = [registry.find(Kind.TRANSFORM, "shout"), registry.find(Kind.SINK, "stranger.diary")]
print(json.dumps({
    "found": [[each.qualified, each.distribution, each.version, each.record_sha256] for each in found],
    "packages": [package.name for package in registry.packages],
    "stranger": next(each.as_json() for each in registry.doctor() if each.package == "stranger"),
}))
"""


def test_a_strangers_plugins_are_found_by_name_and_pinned_by_their_wheel(environment: Path) -> None:
    done = run(environment / "python", "-c", FIND)

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    (shout, diary), (sha256, same) = zip(*[(each[:3], each[3]) for each in answer["found"]], strict=True)
    assert shout == ["stranger.shout", "stranger-plugins", "3.1.4"]
    assert diary == ["stranger.diary", "stranger-plugins", "3.1.4"]
    assert sha256 == same
    assert len(sha256) == 64
    assert answer["packages"] == ["files", "stranger"]
    assert answer["stranger"] == {
        "package": "stranger",
        "distribution": "stranger-plugins",
        "version": "3.1.4",
        "state": "ok",
        "plugins": [["transform", "stranger.shout"], ["sink", "stranger.diary"]],
        "cause": "",
        "remedy": "",
        "traceback": "",
        "warnings": [],
    }


def test_an_edited_file_of_an_installed_package_is_noticed(environment: Path) -> None:
    shout = next(environment.parent.rglob("site-packages/stranger_plugins/shout.py"))
    original = shout.read_text()

    shout.write_text(original + "\n")
    answer = json.loads(run(environment / "python", "-c", FIND).stdout)
    shout.write_text(original)

    assert answer["stranger"]["warnings"] == [
        "files are not as they were installed: stranger_plugins/shout.py; reinstall stranger-plugins"
    ]


def test_plugins_info_tells_what_a_stranger_wrote(environment: Path) -> None:
    done = run(environment / "frame", "plugins", "info", "stranger.shout")

    assert done.returncode == 0, done.stderr
    for told in ("Write a field in capitals.", "marks", "How many exclamation marks follow.", "3.1.4"):
        assert told in done.stdout


def test_a_pipeline_runs_a_strangers_plugins_by_name(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("who,word\nann,hello\nbob,bye\n")
    (tmp_path / "pipeline.yaml").write_text(
        """
frame: 1
name: stranger
source: {plugin: csv, options: {path: in.csv}}
nodes:
  - {name: louder, plugin: shout, options: {field: word, marks: 2}}
sinks:
  out: {plugin: stranger.diary, options: {path: out.txt}}
"""
    )

    done = run(environment / "frame", "run", "pipeline.yaml", cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out.txt").read_text() == "who=ann word=HELLO!!\nwho=bob word=BYE!!\n"
