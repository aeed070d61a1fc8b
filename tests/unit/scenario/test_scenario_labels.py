"""Sessions, shared prefixes and priorities of a drawn workload, as a file gives them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rack_sim.scenario import Scenario, load_scenario, resolved_yaml
from rack_sim.workload import SharedPrefix, SyntheticWorkload

Load = Callable[..., Scenario]
Said = Callable[..., list[str]]

COUNT = "  request_count: 50\n"
LABELS = """
  sessions: 4
  shared_prefix: {tokens: 1000, variants: 3, share: 0.5, block_tokens: 64}
  priorities: {1: 0.2, -1: 0.1}
"""


def test_all_three(load: Load) -> None:
    scenario = load((COUNT, COUNT + LABELS))
    workload = scenario.workload
    assert isinstance(workload, SyntheticWorkload)
    assert workload.sessions == 4
    assert workload.shared_prefix == SharedPrefix(1000, 3, 0.5, 64)
    assert dict(workload.priorities) == {1: 0.2, -1: 0.1}
    Path("again.yaml").write_text(resolved_yaml(scenario), encoding="utf-8")
    again = load_scenario("again.yaml")
    assert again.scenario_hash == scenario.scenario_hash
    assert list(again.workload.open().arrivals()) == list(workload.open().arrivals())


def test_a_prefix_has_defaults(load: Load) -> None:
    workload = load("", "workload.shared_prefix={tokens: 512}").workload
    assert isinstance(workload, SyntheticWorkload)
    assert workload.shared_prefix == SharedPrefix(512, 1, 1.0, 512)


def test_left_out_they_are_no_part_of_the_scenario(load: Load) -> None:
    """So the digests of scenarios written before there were labels are what they were."""
    resolved = load().resolved
    assert not {"sessions", "shared_prefix", "priorities"} & set(resolved["workload"])


def test_every_label_counts(load: Load) -> None:
    prefix = "workload.shared_prefix="
    changes = [
        "workload.sessions=4", "workload.sessions=5", "workload.priorities.1=0.2",
        "workload.priorities.2=0.2", f"{prefix}{{tokens: 600}}", f"{prefix}{{tokens: 700}}",
        f"{prefix}{{tokens: 600, variants: 2}}", f"{prefix}{{tokens: 600, share: 0.5}}",
        f"{prefix}{{tokens: 600, block_tokens: 16}}",
    ]  # fmt: skip
    hashes = {load().scenario_hash, *(load("", change).scenario_hash for change in changes)}
    assert len(hashes) == len(changes) + 1


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("sessions=0", "workload.sessions: 0 is out of range: it must be at least 1"),
        ("sessions=1.5", "1.5 is not a whole number"),
        ("priorities={1: 0.7, 2: 0.4}", "workload.priorities: shares add up to 1.1; at most 1"),
        ("priorities={high: 0.7}", "workload.priorities.high: 'high' must match"),
        ("priorities={1: 2}", "workload.priorities.1: 2 is out of range: it must be at most 1"),
        ("priorities={}", "workload.priorities: needs at least 1 entries"),
        (
            "shared_prefix={tokens: 100}",
            "shared_prefix.tokens: must be at least block_tokens (512)",
        ),
        ("shared_prefix={variants: 2}", "key 'tokens' is missing"),
        ("shared_prefix={tokens: 600, shares: 1}", "unknown key 'shares' (did you mean 'share'?)"),
    ],
)
def test_what_cannot_be(said: Said, override: str, words: str) -> None:
    (problem,) = said("", f"workload.{override}")
    assert words in problem
