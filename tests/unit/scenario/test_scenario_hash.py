"""The digest: equal for equal content however it is written, different for any other value."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rack_sim.foundation.errors import InputError
from rack_sim.scenario import Scenario, load_scenario, resolved_yaml

Load = Callable[..., Scenario]

TRACE = "arrival_s,input_tokens,output_tokens\n0,5,5\n1,6,7\n"


def test_writing_does_not_count(load: Load, small: str) -> None:
    expected = load("slo: {ttft_ms: 500, tpot_us: 1e4}\n").scenario_hash
    tree = yaml.safe_load(small)
    tree["slo"] = {"tpot_ms": 10, "ttft_s": 0.5}
    tree["partition"] = {"stages": "auto"}  # a default, written out
    shuffled = json.dumps(dict(reversed(tree.items())), indent=3)
    Path("q.yaml").write_text("# a comment\n" + shuffled, encoding="utf-8")
    assert load_scenario("q.yaml").scenario_hash == expected
    assert len(expected) == 12


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from leaves(item, (*path, key))
    else:
        yield path, value


def other_values(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value - 1, value * 2, value // 2, value / 2]
    return [
        "request",
        "prefill",
        "fewest_chips",
        "random",
        "priority",
        "fp8",
        "int8",
        8,
        f"{value}x",
    ]


@pytest.mark.slow
def test_every_value_counts(load: Load) -> None:
    """Each leaf of the resolved scenario is changed to a valid other value: the digest changes."""
    scenario = load("slo: {ttft_ms: 500}\n")
    tree = json.loads(json.dumps(dict(scenario.resolved)))
    seen = {scenario.scenario_hash: "unchanged"}
    unchangeable = []
    for path, value in leaves(tree):
        if path[0] == "system" and path[-1] in ("source", "note", "grade"):
            continue  # many and alike; one of each is tried below
        holder = tree
        for key in path[:-1]:
            holder = holder[key]
        for other in other_values(value):
            holder[path[-1]] = other
            Path("q.yaml").write_text(json.dumps(tree), encoding="utf-8")
            try:
                digest = load_scenario("q.yaml").scenario_hash
            except InputError:
                continue
            assert digest not in seen, (path, other, seen[digest])
            seen[digest] = f"{path} = {other}"
            break
        else:
            unchangeable.append(".".join(map(str, path)))
        holder[path[-1]] = value
    assert set(unchangeable) <= {
        "system.chip.execution",
        "system.topology.kind",
        "model.model_type",
        "system.topology.racks.value",  # two racks need links between them, too
        "serving.policy.kind",
        "workload.kind",
        "workload.arrivals.kind",
        "workload.input_tokens.kind",
        "workload.output_tokens.kind",
    }
    assert len(seen) > 60


def test_sources_count(load: Load) -> None:
    given = "system.chip.port_count={{value: 11, source: {}, grade: {}, note: {}}}"
    digests = {
        load("", given.format(*words)).scenario_hash
        for words in [("a", "B", "x"), ("b", "B", "x"), ("a", "C", "x"), ("a", "B", "y")]
    }
    assert len(digests) == 4


def test_a_trace_counts_by_its_content(load: Load, small: str) -> None:
    Path("a").mkdir()
    Path("b").mkdir()
    Path("a/t.csv").write_text(TRACE)
    shutil.copy("a/t.csv", "b/other.csv")
    one = load("", trace="a/t.csv")
    assert load("", trace="b/other.csv").scenario_hash == one.scenario_hash
    before, after = small.partition("workload:\n")[0], "seed: 1\n"
    Path("b/q.yaml").write_text(f"{before}workload: {{kind: trace, path: other.csv}}\n{after}")
    assert load_scenario("b/q.yaml").scenario_hash == one.scenario_hash
    Path("b/other.csv").write_text(TRACE.replace("7", "8"))
    assert load_scenario("b/q.yaml").scenario_hash != one.scenario_hash


def test_a_trace_that_changed_is_refused(load: Load) -> None:
    Path("t.csv").write_text(TRACE)
    Path("resolved.yaml").write_text(resolved_yaml(load("", trace="t.csv")), encoding="utf-8")
    again = load_scenario("resolved.yaml")
    assert again.scenario_hash == load("", trace="t.csv").scenario_hash
    Path("t.csv").write_text(TRACE + "2,5,5\n")
    with pytest.raises(InputError) as caught:
        load_scenario("resolved.yaml")
    (problem,) = caught.value.problems
    assert (problem.place, problem.field) == ("resolved.yaml", "workload.sha256")
    assert "the trace has changed: its digest is" in problem.message
    # The same trace on the command line is a choice, not an accident.
    assert load_scenario("resolved.yaml", trace="t.csv").trace_check


@pytest.mark.parametrize(
    ("name", "description"),
    [("small", "a: b # c"), ("1e5", "nan"), ("010", "~"), ("yes", "Zürich — =1+1"), ("1_0", "'")],
)
def test_resolved_scenarios_say_the_same(load: Load, name: str, description: str) -> None:
    scenario = load(("name: small", f'name: "{name}"\ndescription: "{description}"'))
    text = resolved_yaml(scenario)
    Path("q.yaml").write_text(text, encoding="utf-8")
    again = load_scenario("q.yaml")
    assert again.scenario_hash == scenario.scenario_hash
    assert (again.name, again.description) == (name, description)
    assert again.deployment == scenario.deployment
    assert again.provenance == scenario.provenance
    assert resolved_yaml(again) == text


def test_seeds(load: Load) -> None:
    assert load(("seed: 1", "seed: 9")).scenario_hash == load("", "seed=9").scenario_hash
    assert load("", "seed=9").scenario_hash != load().scenario_hash
