"""The lower bounds of pyproject.toml are the versions that scripts/check oldest runs tests with."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def numbers(version: str) -> tuple[int, ...]:
    """``1.4`` and ``1.4.0`` are the same."""
    found = [int(part) for part in version.split(".")]
    while found and found[-1] == 0:
        found.pop()
    return tuple(found)


def test_every_lower_bound_is_what_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [
        *project["dependencies"],
        *(one for name in ("dask", "ray", "test") for one in extras[name]),
    ]
    bounds = {}
    for requirement in wanted:
        if not requirement.startswith("rack-sim["):
            name, bound = re.fullmatch(r"([\w.-]+)(?:\[\w+\])?>=([\d.]+)", requirement).groups()
            bounds[key(name)] = numbers(bound)
    pinned = dict(
        re.findall(r"^([\w.-]+)==([\d.]+\d)", (ROOT / "constraints-oldest.txt").read_text(), re.M)
    )
    tested = {key(name): version for name, version in pinned.items()}
    assert len(bounds) > 20
    assert {name: numbers(tested[name]) for name in bounds} == bounds
