"""Figures of reactive chips, of fleets and of pools say what the tables say."""

import csv
from dataclasses import replace

import numpy as np
import pytest

import rack_sim
from rack_sim.metrics.columns import CHIPS, LINKS, MEMORY, REPLICAS
from rack_sim.metrics.link_table import link_lines
from rack_sim.metrics.tables import chip_rows, memory_rows, replica_rows
from rack_sim.report.charts.latency_split import split_charts
from rack_sim.report.charts.over_time import fullest_share, steps_of
from rack_sim.report.charts.replicas import replicas_charts, requests_of
from rack_sim.report.charts.run import run_charts
from rack_sim.report.draw.matplotlib import draw
from rack_sim.report.figures.canvas import drawing_style
from rack_sim.report.figures.memory_map import draw_memory_map, memory_columns
from rack_sim.report.figures.rack import draw_rack
from rack_sim.report.figures.rack_load import load_of
from rack_sim.report.views import draw_figures

SHORT = ["workload.request_count=150"]
FLEET = [*SHORT, "serving.replicas=3"]
POOLS = [
    *SHORT,
    "system=nvidia-a100-80-x8",
    "serving.replicas=2",
    "serving.disaggregation={prefill_replicas: 1}",
]
# Room for 12,192 tokens: three sequences of the longest context.
SCARCE = [*SHORT, "serving.policy.kv_capacity_bytes=1000000000", "workload.arrivals.rate_rps=4"]
STATIC_FLEET = [
    "system=groq-node-8",
    "model={model_type: llama, name: tiny-llama, num_hidden_layers: 8, hidden_size: 1024, "
    "num_attention_heads: 16, num_key_value_heads: 8, intermediate_size: 2816, "
    "vocab_size: 32000, max_position_embeddings: 4096, tie_word_embeddings: false}",
    "serving.max_context_tokens=2048",
    "partition.tensor_parallel=2",
    "partition.stages=2",
    "serving.concurrent_sequences=4",
    "workload.request_count=40",
    "serving.replicas=2",
]


def simulated(overrides, scenario="llama70b-a100"):
    return rack_sim.simulate(rack_sim.load(scenario, overrides))


def named(columns, rows):
    names = [column.name for column in columns]
    return [dict(zip(names, row, strict=True)) for row in rows]


def words_of(result, name):
    with drawing_style():
        if name in DRAWINGS:
            figure = DRAWINGS[name](result)
        else:
            drawn = {panels.name: panels for panels in run_charts(result.record())}
            figure = draw(drawn[name])
    parts = [*figure.texts]
    for axes in figure.axes:
        parts += [*axes.texts, *axes.get_yticklabels()]
        if axes.get_legend():
            parts += axes.get_legend().get_texts()
    words = " | ".join(part.get_text().replace("\n", " ") for part in parts)
    return words.replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture(scope="module")
def one():
    return simulated(SHORT)


@pytest.fixture(scope="module")
def fleet():
    return simulated(FLEET)


@pytest.fixture(scope="module")
def pools():
    return simulated(POOLS)


@pytest.fixture(scope="module")
def scarce():
    return simulated(SCARCE)


@pytest.fixture(scope="module")
def static_fleet():
    return simulated(STATIC_FLEET, "llama70b")


DRAWINGS = {"rack": draw_rack, "sram_map": draw_memory_map, "memory_map": draw_memory_map}
ALL = {
    "latency",
    "throughput_over_time",
    "occupancy_over_time",
    "latency_split",
    "energy_and_cost",
    "limits",
    "rack",
}


@pytest.mark.parametrize(
    ("run", "more"),
    [
        ("one", {"memory_map", "iterations"}),
        ("pools", {"memory_map", "iterations", "replicas"}),
        ("static_fleet", {"sram_map", "replicas", "critical_path"}),
    ],
)
def test_a_run_has_the_figures_that_are_for_it(run, more, request, tmp_path):
    result = request.getfixturevalue(run)
    drawn = {path.stem for path in draw_figures(result, result.record(), tmp_path)}
    assert drawn == ALL | more
    assert result.explanation.batch is None or "step" not in vars(result.explanation), (
        "nothing is compiled for chips that run no program"
    )


def test_a_run_in_which_nothing_is_served_is_drawn(tmp_path):
    rejected = (
        "workload={kind: synthetic, arrivals: {kind: constant, gap_ms: 200}, "
        "input_tokens: {kind: fixed, tokens: 5000}, output_tokens: {kind: fixed, tokens: 9}, "
        "request_count: 3}"
    )
    result = simulated([rejected])
    drawn = {path.stem for path in draw_figures(result, result.record(), tmp_path)}
    assert drawn == ALL | {"memory_map", "iterations"}
    assert "No iteration ran." in words_of(result, "iterations")
    assert "No request had a second token." in words_of(result, "latency_split")
    assert "Nothing was served." in words_of(result, "occupancy_over_time")


@pytest.mark.parametrize("run", ["one", "fleet", "pools", "scarce", "static_fleet"])
def test_the_parts_of_a_token_are_its_mean(run, request):
    """Eight terms with six decimals of a millisecond each."""
    result = request.getfixturevalue(run)
    (panels,) = split_charts(result.record())
    for chart, column in zip(panels.charts, ("itl_ms_mean", "ttft_ms_mean"), strict=True):
        parts, _wholes = (one.values for one in chart.series)
        assert sum(parts) == pytest.approx(result.summary[column], abs=8e-6)


def test_the_split_says_what_slack_is(one, pools, scarce):
    assert scarce.summary["preemption_count"] > 0
    assert "cache lost and made again" in words_of(scarce, "latency_split")
    assert "slack" not in words_of(one, "latency_split")
    words = words_of(pools, "latency_split")
    assert "slack: the cache on its way" in words
    assert "then: its cache to a decode replica" in words


@pytest.mark.parametrize("run", ["one", "fleet", "pools", "static_fleet"])
def test_the_drawn_rack_shows_what_the_tables_say(run, request):
    result = request.getfixturevalue(run)
    load, machine = load_of(result), result.explanation.machine
    for row in named(CHIPS, chip_rows(machine, result.totals)):
        chip = int(row["chip"])
        if row["role"] == "stage":
            assert load.share_by_chip[chip] == pytest.approx(float(row["utilisation"]), abs=1e-9)
            assert (load.stage_by_chip[chip], load.replica_by_chip[chip]) == (int(row["stage"]), 0)
        else:
            assert (chip in load.share_by_chip) == (row["role"] == "replica")
    links = named(LINKS, csv.reader(link_lines(machine, result.totals)))
    assert load.busy_link_count == sum(int(row["payload_bytes"]) > 0 for row in links)
    busiest = max(float(row["utilisation"]) for row in links)
    assert max(load.share_by_pair.values()) == pytest.approx(busiest, abs=1e-9)


def test_every_replica_of_a_system_has_its_own_share(pools, static_fleet):
    for result in (pools, static_fleet):
        load = load_of(result)
        assert load.replica_count == 2
        assert len(load.share_by_chip) == 2 * result.explanation.plan.chip_count
        rows = named(REPLICAS, replica_rows(result.totals))
        for replica, row in enumerate(rows):
            busiest = max(
                share
                for chip, share in load.share_by_chip.items()
                if load.replica_by_chip[chip] == replica
            )
            if result is pools:
                assert busiest == pytest.approx(float(row["utilisation"]), abs=1e-9)
            else:
                assert busiest > 0
    assert "2 replicas, numbered, each of one stage of 4 chips" in words_of(pools, "rack")
    words = words_of(static_fleet, "rack")
    assert "numbered replica:stage" in words
    assert all(f"{replica}:{stage}" in words for replica in (0, 1) for stage in (0, 1))


def test_a_replica_of_a_larger_fleet_says_so(fleet):
    assert "replica 0 of 3, which are alike" in words_of(fleet, "rack")
    assert "one of 3 replicas" in words_of(fleet, "memory_map")
    assert "12 chips in 3 replicas" in words_of(fleet, "occupancy_over_time")


def test_the_memory_of_a_draft_is_in_the_table_and_in_the_map(one):
    """All chips together hold the parameters of both models, two bytes each."""
    scenario = rack_sim.load("llama70b-a100", SHORT)
    model = one.explanation.plan.model
    draft = replace(model, name="draft", layers=model.layers[:2])
    serving = replace(scenario.serving, draft_model=draft)
    machine = rack_sim.explain(replace(scenario, serving=serving)).batch
    rows = named(MEMORY, memory_rows(machine))
    drafted = 2 * draft.parameter_count  # bf16
    weights = sum(int(row["weight_bytes"]) for row in rows)
    assert weights == 2 * one.explanation.plan.model.parameter_count + drafted
    free = machine.chip_bytes["left_free"] + machine.timing.block_tokens * 2**20
    assert all(int(row["free_bytes"]) < free for row in rows), "less than a block is left over"
    assert memory_columns(machine).bytes_by_kind["weight"].sum() == weights


@pytest.mark.parametrize("run", ["one", "scarce", "static_fleet"])
def test_the_memory_map_shows_what_the_table_says(run, request):
    machine = request.getfixturevalue(run).explanation.machine
    columns = memory_columns(machine)
    capacity_bytes = machine.plan.system.chip.fast_memory.capacity_bytes
    assert (sum(columns.bytes_by_kind.values()) == capacity_bytes).all()
    rows = named(MEMORY, memory_rows(machine))
    for kind in ("weight", "kv", "activation", "program"):
        table = [int(row[f"{kind}_bytes"]) for row in rows]
        assert columns.bytes_by_kind[kind].tolist() == table
    free = columns.bytes_by_kind["free"] + columns.bytes_by_kind["left_free"]
    assert free.tolist() == [int(row["free_bytes"]) for row in rows]


def test_what_is_left_free_on_purpose_is_told_from_what_is_free(scarce, static_fleet):
    assert "left free on purpose 32.00 GB, 10.0 %" in words_of(scarce, "memory_map")
    assert "left free" not in words_of(static_fleet, "sram_map")


def test_the_occupancy_is_that_of_the_summary(scarce):
    """The cache in use, and requests running and waiting by Little's law."""
    record = scarce.record()
    steps = steps_of(record)
    (row,) = named(REPLICAS, replica_rows(scarce.totals))
    room = int(row["kv_capacity_tokens"])
    used = steps.mean("kv_reserved_tokens_mean") / room
    assert used == pytest.approx(scarce.summary["kv_reserved_share_mean"], abs=1e-8)
    requests, seconds = scarce.requests(), scarce.summary["simulated_s"]
    in_system = (requests["finish_ms"] - requests["arrival_ms"]).sum() / 1000 / seconds
    found = steps.mean("running_mean") + steps.mean("waiting_mean")
    assert found == pytest.approx(in_system, rel=1e-5), "means have six decimals"
    highest = steps.highest("kv_reserved_tokens_mean") / room
    # A step is a mean over its time; the fullest moment is in the books.
    assert 0.9 < highest <= fullest_share(record) <= 1
    assert fullest_share(record) == int(row["kv_tokens_max"]) / room
    assert "full" in words_of(scarce, "occupancy_over_time")


def test_tokens_are_drawn_by_kind_where_they_occur(one, scarce):
    words = words_of(scarce, "throughput_over_time")
    assert "prefilled again after a preemption" in words
    assert "prefix cache" not in words
    assert "prefilled again" not in words_of(one, "throughput_over_time")
    steps = steps_of(scarce.record())
    recomputed = (steps.rates["recomputed_tokens"] * np.diff(steps.edges_s)).sum()
    assert recomputed == pytest.approx(scarce.summary["recomputed_token_count"])


def test_replicas_are_told_apart(fleet, pools):
    rows = fleet.record().rows("replicas.csv")
    (panels,) = replicas_charts(fleet.record())
    busy, came = (chart.series[0] for chart in panels.charts)
    assert busy.y == pytest.approx([100 * row["utilisation"] for row in rows])
    assert list(came.y) == [requests_of(row) for row in rows]
    assert sum(map(requests_of, rows)) == fleet.summary["request_count"]
    assert "3 replicas are busy" in panels.title
    (panels,) = replicas_charts(pools.record())
    assert "The prefill replica is busy" in panels.title
    assert "the decode replica" in panels.title
    assert [one.name for one in panels.charts[0].series] == ["prefills", "decodes"]
    prefill, decode = map(requests_of, pools.record().rows("replicas.csv"))
    assert prefill == pools.summary["request_count"]
    assert decode == pools.totals.replicas[1].transfer_count


def test_sixty_four_replicas_are_on_one_sheet():
    many = simulated(["serving.replicas=64", "workload.request_count=200"])
    with drawing_style():
        figure = draw(next(replicas_charts(many.record())))
    assert figure.get_figwidth() < 12
    assert figure.get_figheight() < 7
    bars = [len(axes.patches) for axes in figure.axes]
    assert bars == [64, 64]
