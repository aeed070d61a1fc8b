"""A small scenario, loaded after a change, and what is said of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.scenario import Scenario, load_scenario

SMALL = (Path(__file__).parent / "small.yaml").read_text(encoding="utf-8")

Load = Callable[..., Scenario]
Said = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test stands in an empty directory of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def text_of(change: tuple[str, str] | str) -> str:
    """The small scenario: a pair replaces, a word is added at the end, bytes stay as they are."""
    if isinstance(change, str):
        return SMALL + change
    assert SMALL.count(change[0]) == 1, change
    return SMALL.replace(*change)


@pytest.fixture
def load() -> Load:
    """Loads the small scenario as p.yaml after a change, with overrides."""

    def load_changed(change: Any = "", *overrides: str, **options: Any) -> Scenario:
        Path("p.yaml").write_text(text_of(change), encoding="utf-8")
        return load_scenario("p.yaml", overrides, **options)

    return load_changed


@pytest.fixture
def said(load: Load) -> Said:
    """What is said of the small scenario after a change: one text per problem."""

    def problems(change: Any = "", *overrides: str, **options: Any) -> list[str]:
        with pytest.raises(InputError) as caught:
            load(change, *overrides, **options)
        return [str(problem) for problem in caught.value.problems]

    return problems


@pytest.fixture
def said_of_file() -> Said:
    """What is said of a file with this content."""

    def problems(content: bytes | str) -> list[str]:
        data = content.encode() if isinstance(content, str) else content
        Path("p.yaml").write_bytes(data)
        with pytest.raises(InputError) as caught:
            load_scenario("p.yaml")
        return [str(problem) for problem in caught.value.problems]

    return problems


@pytest.fixture
def small() -> str:
    """The text of the small scenario."""
    return SMALL
