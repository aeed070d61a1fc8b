"""Searches for reference cycles stop for a while, and go on as they did."""

import gc

import pytest

from rack_sim.foundation.garbage import gc_paused


@pytest.mark.parametrize("enabled", [True, False])
def test_searches_go_on_as_before(enabled: bool) -> None:
    was_enabled = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with gc_paused():
            assert not gc.isenabled()
        assert gc.isenabled() == enabled
        with pytest.raises(ZeroDivisionError), gc_paused():
            _ = 1 // 0
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()
