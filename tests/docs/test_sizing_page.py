"""docs/sizing.md shows what `rack-sim size` says now."""

from pathlib import Path
from shlex import quote

import pytest

from rack_sim.foundation.errors import InfeasibleError
from rack_sim.scenario import load_scenario
from rack_sim.study.sizing import SizingRequest, size

PAGE = (Path(__file__).parents[2] / "docs" / "sizing.md").read_text(encoding="utf-8")


def test_the_example_is_what_comes_out():
    """Of the 19 shapes of the page, the answer's and the next smaller's."""
    found = size(
        load_scenario("llama70b"),
        SizingRequest("ttft_p99=0.5s,tpot_p99=10ms", 40, stages=[54, 72]),
    )
    assert len(found.winners) == 1
    answer = found.answers["fewest_chips"]
    best, where = answer.candidate, answer.candidate.footprint
    ttft, tpot = best.readings
    for words in (
        f"| tensor parallel x stages x replicas | {best.name} |",
        f"| {where.bought_chip_count:,} ({where.chip_count:,}, {where.spare_chip_count}, "
        f"{where.idle_chip_count}) |",
        f"| racks | {where.rack_count} |",
        f"| capital | ${best.capital_usd:,.0f} |",
        f"| a year, capital and electricity | ${best.usd_per_year:,.0f} |",
        f"| {best.mean_watts / 1000:.0f} kW ({best.standby_watts / 1000:.0f} kW) |",
        f"| {ttft.value:.1f} ms, {ttft.margin:.1f} ms ({100 * ttft.margin_share:.1f} %) |",
        f"| {tpot.value:.3f} ms, {tpot.margin:.3f} ms ({100 * tpot.margin_share:.1f} %) |",
        f"| TTFT is bound by | {best.measured['ttft_bound_by']} |",
        f"| TPOT is bound by | {best.measured['tpot_bound_by'].replace('_', ' ')} |",
        f"| one replica fewer | {answer.one_replica_fewer.name}: ttft_p99 "
        f"{answer.one_replica_fewer.readings[0].value:.1f} ms |",
        f"| next smaller | {answer.next_smaller.name}: ttft_p99 "
        f"{answer.next_smaller.readings[0].value:.1f} ms |",
        *(f"--set {quote(setting)}" for setting in found.settings_of(best)),
    ):
        assert words in PAGE, words


@pytest.mark.slow
def test_the_reason_is_what_comes_out():
    with pytest.raises(InfeasibleError) as caught:
        size(load_scenario("llama70b"), SizingRequest("ttft_p99=0.5s,tpot_p99=2ms", 40))
    shown = PAGE.split("tpot_p99=2ms --rate 40\n")[1].split("\n\n")[0].splitlines()
    said = str(caught.value).splitlines()
    missing = [line.strip() for line in shown if line.strip() != "…" and line[4:] not in said]
    assert not missing, missing
