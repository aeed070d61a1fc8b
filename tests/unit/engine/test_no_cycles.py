"""A replay makes no reference cycles, so that nothing needs to look for them while it runs."""

import gc

import pytest

import rack_sim


@pytest.mark.parametrize("name", ["llama70b", "llama70b-a100"])
def test_requests_leave_no_cycles(name: str) -> None:
    def left(count: int) -> int:
        scenario = rack_sim.load(name, [f"workload.request_count={count}"])
        explanation = rack_sim.explain(scenario)
        gc.collect()
        gc.disable()
        try:
            result = rack_sim.simulate(scenario, explanation=explanation)
            assert result.totals.request_count == count
            return gc.collect()
        finally:
            gc.enable()

    # The replay's own few objects know each other; requests add none.
    assert left(400) <= left(100) + 50
