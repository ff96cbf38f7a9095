"""Pip constraints that pin each declared dependency to the lowest version its range allows.

python -m tools.lowest core/pyproject.toml ... > constraints.txt
"""

import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

OURS = "frame-"


def declared(pyproject: Path) -> list[Requirement]:
    """The direct dependencies in a `pyproject.toml`, its extras included."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    groups = [project.get("dependencies", []), *project.get("optional-dependencies", {}).values()]
    return [Requirement(text) for group in groups for text in group]


def floor(requirement: Requirement) -> Version:
    """The lowest version that `requirement` allows.

    >>> str(floor(Requirement("click>=8.1,<9")))
    '8.1'

    Raises ValueError where it names none.
    """
    floors = [Version(part.version) for part in requirement.specifier if part.operator in (">=", "~=", "==")]
    if not floors:
        raise ValueError(f"{requirement}: say the lowest version that works, as in {requirement.name}>=1.0")
    return max(floors)


def constraints(requirements: Iterable[Requirement]) -> list[str]:
    """One `name==floor` line for each foreign dependency; of several floors the highest counts.

    >>> constraints([Requirement("b>=2"), Requirement("b>=1"), Requirement("a~=0.3"), Requirement("frame-core>=0.1")])
    ['a==0.3', 'b==2']
    """
    floors: dict[str, Version] = {}
    for requirement in requirements:
        name = requirement.name.lower()
        if not name.startswith(OURS):
            floors[name] = max(floor(requirement), floors.get(name, Version("0")))
    return [f"{name}=={version}" for name, version in sorted(floors.items())]


if __name__ == "__main__":
    print("\n".join(constraints(r for path in sys.argv[1:] for r in declared(Path(path)))))
