"""`rack-sim sensitivity`: signs, what stays, bounds, files, bad input."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

import rack_sim
from rack_sim.metrics.compare_columns import SENSITIVITY
from rack_sim.study.inputs import INPUTS
from rack_sim.study.sensitivity import SPEED, USD, Effect, Sensitivity, run_sensitivity

Cli = Callable[..., tuple[int, str, str]]

PLANNED = "partition={tensor_parallel: 8, stages: 8}"
COST_ONLY = {one.name for one in INPUTS if not one.is_replayed}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def result() -> Sensitivity:
    path = Path(__file__).parents[1] / "scenario" / "small.yaml"
    return run_sensitivity(rack_sim.load(path, [PLANNED]), change=0.25)


def effect(result: Sensitivity, name: str) -> Effect:
    return next(found for found in result.effects if found.input.name == name)


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("price of the system", 1),
        ("years of use", -1),
        ("utilisation", -1),
        ("electricity", 1),
        ("PUE", 1),
        ("watts of everything", 1),
        ("rate of requests", -1),
    ],
)
def test_what_more_of_it_does_to_cost(result: Sensitivity, name: str, sign: int) -> None:
    """More of it makes a token dearer (1) or cheaper (-1), less of it the other way round."""
    found = effect(result, name)
    now = result.base[USD]
    assert isinstance(now, float)
    assert found.less.usd is not None
    assert found.more.usd is not None
    assert (now - found.less.usd) * sign > 0
    if name != "utilisation":  # it is all there is already
        assert (found.more.usd - now) * sign > 0


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("memory bandwidth", 1),
        ("peak FLOP", 1),
        ("link bandwidth", 1),
        ("link latency", -1),
        ("fixed latency of operators", -1),
    ],
)
def test_what_more_of_it_does_to_speed(result: Sensitivity, name: str, sign: int) -> None:
    """A slot comes round after whole intervals: what hurts a machine may also cost it nothing."""
    found = effect(result, name)
    speeds = [found.less.speed, result.base[SPEED], found.more.speed]
    assert all(isinstance(speed, float) for speed in speeds)
    assert speeds == sorted(speeds, reverse=sign < 0)
    if name == "fixed latency of operators":
        assert len(set(speeds)) == 3


def test_prices_and_watts_leave_speed_as_it_is(result: Sensitivity) -> None:
    for found in result.effects:
        if found.input.name in COST_ONLY:
            assert found.less.speed == found.more.speed == result.base[SPEED]


def test_cost_by_hand(result: Sensitivity) -> None:
    """A quarter off the price is a quarter off the capital; 1/0.75 of it in three years of four."""
    capital = result.base["capital_usd_per_million_output_tokens"]
    power = result.base["electricity_usd_per_million_output_tokens"]
    assert isinstance(capital, float)
    assert isinstance(power, float)
    for name, expected in (
        ("price of the system", 0.75 * capital + power),
        ("years of use", capital / 0.75 + power),
        ("electricity", capital + 0.75 * power),
        ("watts of everything", capital + 0.75 * power),
        ("PUE", capital + power / 1.3),
    ):
        # Three numbers rounded to six digits.
        assert effect(result, name).less.usd == pytest.approx(expected, abs=2e-6), name


def test_bounds(result: Sensitivity) -> None:
    more, less = effect(result, "utilisation").more, effect(result, "PUE").less
    assert (more.value, more.note) == (1.0, "it cannot be above 1")
    assert (less.value, less.note) == (1.0, "it cannot be below 1")
    assert less.change == pytest.approx(1 / 1.3 - 1)


def test_the_largest_effect_stands_first(result: Sensitivity) -> None:
    swings = [result.swing(found, USD) for found in result.ranked]
    assert swings == sorted(swings, reverse=True)
    assert {found.input.name for found in result.ranked} == {one.name for one in INPUTS}


def test_fewer_requests_only_where_that_is_steady() -> None:
    """Fifty requests last 2.5 s; ten of them not ten times as long as one."""
    path = Path(__file__).parents[1] / "scenario" / "small.yaml"
    slow = "workload.output_tokens={kind: fixed, tokens: 400}"
    few = run_sensitivity(rack_sim.load(path, [PLANNED, slow]), request_count=10)
    assert few.request_count == 50
    one = "workload.output_tokens={kind: fixed, tokens: 2}"
    many = run_sensitivity(rack_sim.load(path, [PLANNED, one]), request_count=40)
    assert (many.request_count, many.all_request_count) == (40, 50)


def test_it_writes_a_directory(cli: Cli, small: Path) -> None:
    code, out, err = cli("sensitivity", "small.yaml", "--set", PLANNED, "--change", "10")
    assert (code, err) == (0, "")
    (folder,) = Path("reports").iterdir()
    assert folder.name.startswith("sensitivity-small-")
    assert out.endswith(f"files: {folder}\n")
    names = {"sensitivity.csv", "sensitivity.png", "sensitivity.svg", "report.html", "report.xlsx"}
    assert {path.name for path in folder.iterdir()} == names | {"manifest.json", "resolved.yaml"}
    assert (folder / "sensitivity.png").stat().st_size > 10_000
    assert ElementTree.parse(folder / "sensitivity.svg").getroot().tag.endswith("svg")
    rows = read(folder / "sensitivity.csv")
    assert list(rows[0]) == [column.name for column in SENSITIVITY]
    assert len(rows) == 2 * len(INPUTS)
    assert {row["change_share"] for row in rows if row["input"] == "electricity"} == {"-0.1", "0.1"}
    assert "rate of requests, 1/s" in out
    assert "utilisation: it cannot be above 1" in out


def test_a_closed_loop_has_no_rate(cli: Cli, small: Path) -> None:
    """Its input is listed with the reason; the others are there."""
    loop = (
        "workload={kind: closed_loop, users: 2, think_time_ms: 5, "
        "input_tokens: {kind: fixed, tokens: 50}, output_tokens: {kind: fixed, tokens: 10}, "
        "request_count: 20}"
    )
    code, out, err = cli(
        *("sensitivity", "small.yaml", "--set", PLANNED, "--set", loop),
        *("--json", "--out", "c"),
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    (rate,) = [row for row in found["effects"] if row["input"] == "rate of requests"]
    assert "closed loop has no rate" in rate["note"]
    assert rate["usd_per_million_output_tokens"] is None
    assert len(found["effects"]) == 2 * len(INPUTS) - 1


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("nothere",), 2, "no scenario is called"),
        (("small.yaml", "--change", "0"), 2, "change"),
        (
            ("small.yaml", "--set", "workload.input_tokens={kind: fixed, tokens: 2000}"),
            2,
            "nothing",
        ),
        (("small.yaml", "--set", "model=llama-2-70b"), 3, "infeasible"),
    ],
)
def test_bad_input(
    cli: Cli, small: Path, arguments: tuple[str, ...], code: int, complaint: str
) -> None:
    found, out, err = cli("sensitivity", *arguments, "--set", PLANNED)
    assert (found, out) == (code, "")
    assert complaint in err
    assert not Path("reports").exists()
