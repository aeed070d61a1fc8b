"""Numbers and units: each wrong one is refused where it stands, with what is allowed."""

from collections.abc import Callable

import pytest

from rack_sim.scenario import Scenario

Said = Callable[..., list[str]]
Load = Callable[..., Scenario]

COUNT = ("request_count: 50", "request_count: {}")
RATE = ("rate_rps: 20", "rate_rps: {}")
TIMES = "ttft_ps, ttft_ns, ttft_us, ttft_ms, ttft_s"


def put(change: tuple[str, str], value: str) -> tuple[str, str]:
    return change[0], change[1].format(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("-50", "-50 is out of range: it must be at least 1"),
        ("0", "0 is out of range: it must be at least 1"),
        ("1e10", "10000000000 is out of range: it must be at most 1000000000"),
        (".nan", "nan is not a whole number"),
        (".inf", "inf is not a whole number"),
        ("-Infinity", "-inf is not a whole number"),
        ("1e999", "inf is not a whole number"),
        ("1.5", "1.5 is not a whole number"),
        ("'50'", "'50' is not a whole number"),
        ("fifty", "'fifty' is not a whole number"),
        ("true", "True is not a whole number"),
        ("[50]", "[50] is not a whole number"),
        ("{a: 50}", "{'a': 50} is not a whole number"),
        ("9" * 40, "9" * 40 + " is out of range: it must be at most 1000000000"),
    ],
)
def test_counts(said: Said, value: str, message: str) -> None:
    assert said(put(COUNT, value)) == [f"p.yaml:13:3: workload.request_count: {message}"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("-1", "-1 is out of range: it must be at least 1e-06"),
        ("0", "0 is out of range: it must be at least 1e-06"),
        (".nan", "nan is not a finite number"),
        ("inf", "inf is not a finite number"),
        ("'20'", "'20' is not a number"),
        ("many", "'many' is not a number"),
        ("false", "False is not a number"),
        ("null", "None is not a number"),
        ("1e10", "10000000000 is out of range: it must be at most 10000000.0"),
    ],
)
def test_rates(said: Said, value: str, message: str) -> None:
    assert said(put(RATE, value)) == [f"p.yaml:10:29: workload.arrivals.rate_rps: {message}"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("-5", "-5 is out of range: it must be at least 1 ps"),
        ("1e30", f"{10**30} is out of range: it must be at most {10**18} ps"),
        (".inf", "inf is not a whole number"),
        (".nan", "nan is not a whole number"),
        ("true", "True is not a whole number"),
        ("half", "'half' is not a whole number"),
        ("9" * 70, f"{'9' * 70} is out of range: it must be at most {10**18} ps"),
    ],
)
def test_quantities(said: Said, value: str, message: str) -> None:
    assert said(f"slo: {{ttft_ms: {value}}}\n") == [f"p.yaml:15:7: slo.ttft_ms: {message}"]


@pytest.mark.parametrize("value", ["9" * 1001, "9" * 60_000, "0." + "1" * 1000, "-" + "1" * 1001])
def test_digits_have_a_limit(said: Said, value: str) -> None:
    (problem,) = said(f"slo: {{ttft_ms: {value}}}\n")
    assert problem.startswith(f"p.yaml:15:16: a number: {len(value):,} digits, more than the limit")
    assert "RACK_SIM_LIMITS" in problem


@pytest.mark.parametrize("value", ["0e99999999999999999999", "0e-99999999999999999999", "-0e5"])
def test_nothing_times_any_power_of_ten_is_zero(load: Load, value: str) -> None:
    assert load("", f"seed={value}").seed == 0


@pytest.mark.parametrize("value", ["9" * 1000, "1e999", "-1e999", "1e300", "1e-999", "9" * 400])
@pytest.mark.parametrize(
    "key",
    [
        "seed",
        "serving.slot_rows",
        "metrics.warmup_share",
        "workload.arrivals.rate_rps",
        "cost.utilisation",
        "system.chip.idle_watts",
        "system.chip.memory.0.capacity_mib",
    ],
)
def test_no_number_is_too_much_to_be_refused(said: Said, key: str, value: str) -> None:
    """Whatever is wrong with a number is said where it stands; tiny ones may be taken for zero."""
    may_be_zero = key not in ("serving.slot_rows", "workload.arrivals.rate_rps", "cost.utilisation")
    if value == "1e-999" and may_be_zero:
        return
    problems = said("", f"{key}={value}")
    assert any(problem.startswith(f"--set {key}=") for problem in problems)


@pytest.mark.parametrize("key", ["ttft", "ttft_gb", "ttft_milliseconds", "ttft_sec", "ttft_MS"])
def test_no_unit_and_wrong_unit(said: Said, key: str) -> None:
    assert said(f"slo: {{{key}: 5}}\n") == [
        f"p.yaml:15:7: {key!r} is in no unit of time (allowed: {TIMES})"
    ]


def test_one_quantity_in_two_units(said: Said) -> None:
    for first, second in [("ttft_ms", "ttft_s"), ("ttft_ps", "ttft_ns"), ("ttft_s", "ttft_ps")]:
        assert said(f"slo:\n  {first}: 5\n  {second}: 1\n") == [
            f"p.yaml:17:3: {second!r} is given already in another unit"
        ]


def test_units_mean_what_they_say(load: Load) -> None:
    for key, value, ps in [
        ("ttft_ps", "7", 7),
        ("ttft_ns", "1.5", 1500),
        ("ttft_us", "0.1", 10**5),
        ("ttft_ms", "1e3", 10**12),
        ("ttft_s", "0.0000000000001", 1),  # rounded up to a whole picosecond
    ]:
        assert load(f"slo: {{{key}: {value}}}\n").slo.bounds_ps["ttft"] == ps


def test_decimal_and_binary_sizes_differ(load: Load) -> None:
    sizes = [
        load("", f"system.chip.memory.0.capacity_{unit}=500").deployment.system.chip
        for unit in ("mb", "mib")
    ]
    assert [chip.fast_memory.capacity_bytes for chip in sizes] == [500 * 10**6, 500 * 2**20]


def test_sources(said: Said) -> None:
    where = "p.yaml:16:3: cost.electricity_usd_per_kwh"
    for given, message in [
        ("{value: 1}", "give either source and grade, or assumed: why"),
        ("{value: 1, source: a, assumed: b}", "give either source and grade, or assumed: why"),
        ("{value: 1, source: a}", "a source needs a grade"),
    ]:
        (problem,) = said(f"cost:\n  electricity_usd_per_kwh: {given}\n")
        assert problem.startswith(f"{where}: {message}")
    (problem,) = said("cost:\n  electricity_usd_per_kwh: {value: 1, source: a, grade: E}\n")
    assert problem == (
        "p.yaml:16:50: cost.electricity_usd_per_kwh.grade: 'E' is not known "
        "(allowed: A, A-, B, C, D, M, der, fitted)"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "input_tokens: {kind: fixed, tokens: 100}",
            "input_tokens: {kind: lognormal, mean_tokens: 5, p50_tokens: 10}",
            "p.yaml:11:35: workload.input_tokens.mean_tokens: must be above p50_tokens",
        ),
        (
            "input_tokens: {kind: fixed, tokens: 100}",
            "input_tokens: {kind: empirical, quantiles: [[0, 5], [0.5, 3], [1, 9]]}",
            "p.yaml:11:55: workload.input_tokens.quantiles.1: must not be below the one before",
        ),
        (
            "input_tokens: {kind: fixed, tokens: 100}",
            "input_tokens: {kind: empirical, quantiles: [[0, 5], [1]]}",
            "p.yaml:11:55: workload.input_tokens.quantiles.1: needs at least 2 entries",
        ),
        (
            "input_tokens: {kind: fixed, tokens: 100}",
            "input_tokens: {kind: empirical, quantiles: [[0, 5], [1, 6, 7]]}",
            "p.yaml:11:55: workload.input_tokens.quantiles.1: has 3 entries, not 2",
        ),
        (
            "arrivals: {kind: poisson, rate_rps: 20}",
            "arrivals: {kind: piecewise, pieces: [{duration_s: 1, rate_rps: 0}]}",
            "p.yaml:10:31: workload.arrivals.pieces: at least one rate_rps must be above 0",
        ),
        ("  request_count: 50\n", "", "p.yaml:8:1: workload: give request_count, duration_ps or"),
    ],
)
def test_traffic_that_cannot_be(said: Said, old: str, new: str, message: str) -> None:
    """What only the workload's own check can see is told at its place in the file, too."""
    (problem,) = said((old, new))
    assert problem.startswith(message)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("tensor_parallel", "3", "32 attention heads cannot be split over 3 chips evenly (allowed"),
        ("tensor_parallel", "0", "must be 'auto' or a whole number of at least 1; given 0"),
        ("tensor_parallel", "true", "must be 'auto' or a whole number of at least 1; given True"),
        ("stages", "999", "999 stages for 66 blocks leave some empty (at most 66)"),
    ],
)
def test_cuts_that_cannot_be(said: Said, key: str, value: str, message: str) -> None:
    (problem,) = said(f"partition: {{{key}: {value}}}\n")
    assert problem.startswith(f"p.yaml:15:13: partition.{key}: {message}")


def test_context_longer_than_the_model_reads(said: Said) -> None:
    assert said(("max_context_tokens: 1024", "max_context_tokens: 4097")) == [
        "p.yaml:7:3: serving.max_context_tokens: 4097 is longer than llama-2-7b can read "
        "(at most 4096)"
    ]


@pytest.mark.parametrize(
    "given", ["[256, 512]", "[512, 256, 1024]", "[256, 2048]", "[256, 256, 1024]"]
)
def test_context_buckets_rise_to_the_longest_context(said: Said, given: str) -> None:
    change = (
        "  max_context_tokens: 1024",
        f"  max_context_tokens: 1024\n  policy: {{kind: static_slots, context_buckets: {given}}}",
    )
    (problem,) = said(change)
    assert problem.startswith(f"p.yaml:8:32: serving.policy.context_buckets: {given} does not rise")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "cost: {power_usage_effectiveness: 0.99}\n",
            "p.yaml:15:8: cost.power_usage_effectiveness: 0.99 is out of range: it must be at "
            "least 1",
        ),
        (
            "partition: {expert_skew: 60}\n",
            "p.yaml:15:13: partition.expert_skew: 60 is out of range: it must be at most 10",
        ),
        (
            "partition: {expert_capacity_factor: 0}\n",
            "p.yaml:15:13: partition.expert_capacity_factor: 0 is out of range: it must be at "
            "least 1e-06",
        ),
        (
            ("system: groq-rack-72", "system: {preset: groq-rack-72, chip: {peak_watts: 7}}"),
            "p.yaml:2:39: system.chip.peak_watts: 7 W at the peak is less than the ",
        ),
    ],
)
def test_ratios_and_powers_that_cannot_be(
    said: Said, change: tuple[str, str] | str, message: str
) -> None:
    """Energy, experts and rows would be less than nothing, or no number."""
    (problem,) = said(change)
    assert problem.startswith(message)
