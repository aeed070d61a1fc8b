"""Fixtures of the fuzz tests."""

from pathlib import Path

import pytest
from fuzz.kinds import make_seeds


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What running something leaves, as seeds."""
    folder = tmp_path_factory.mktemp("made")
    make_seeds(folder)
    return folder
