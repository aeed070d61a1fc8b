"""Seeds: every one as it is; among them are the files that once were findings."""

from pathlib import Path

import pytest
from fuzz.campaign import Judge
from fuzz.kinds import KINDS, SEEDS, placed

# Larger ones of those that are shipped are presets, which have tests of their own.
_SIZE_MAX_BYTES = 20_000


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_seeds_are_read_or_refused(made: Path, name: str) -> None:
    kind, found = KINDS[name], {}
    with Judge() as judging:
        for seed in kind.seeds(made):
            if SEEDS in seed.parents or seed.stat().st_size <= _SIZE_MAX_BYTES:
                with placed(kind, seed, seed.read_bytes(), made) as path:
                    found[seed.name] = judging.finding_of(name, path)
    assert not {name: what for name, what in found.items() if what}
    assert found
