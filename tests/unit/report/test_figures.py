"""Figures say what the tables say, in files that are equal from run to run."""

import csv
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

import rack_sim
from rack_sim.metrics.columns import CHIPS, LINKS
from rack_sim.metrics.critical_path import whole_name
from rack_sim.metrics.link_table import link_lines
from rack_sim.metrics.tables import chip_rows
from rack_sim.record import store
from rack_sim.report.charts.critical_path import critical_path_charts, steps_of, zoomed
from rack_sim.report.charts.latency import latency_charts
from rack_sim.report.charts.latency_split import split_charts
from rack_sim.report.charts.over_time import over_time_charts
from rack_sim.report.charts.over_time import steps_of as time_steps_of
from rack_sim.report.draw.matplotlib import draw
from rack_sim.report.figures.canvas import drawing_style, write_figure
from rack_sim.report.figures.memory_map import draw_memory_map, memory_columns
from rack_sim.report.figures.rack import draw_rack
from rack_sim.report.figures.rack_layout import lay_out
from rack_sim.report.figures.rack_load import load_of
from rack_sim.report.numbers import milliseconds
from rack_sim.report.views import draw_figures

TINY_MODEL = (
    "model={model_type: llama, name: tiny-llama, num_hidden_layers: 8, hidden_size: 1024, "
    "num_attention_heads: 16, num_key_value_heads: 8, intermediate_size: 2816, "
    "vocab_size: 32000, max_position_embeddings: 4096, tie_word_embeddings: false}"
)
TINY = ["system=groq-node-8", TINY_MODEL, "serving.max_context_tokens=2048"]
ONE_CHIP = [
    *TINY,
    "partition.tensor_parallel=1",
    "partition.stages=1",
    "serving.concurrent_sequences=1",
]
MACHINE = [
    *TINY,
    "partition.tensor_parallel=2",
    "partition.stages=4",
    "serving.concurrent_sequences=4",
]
NODE = [*MACHINE, "workload.request_count=120"]
RACK = [
    "system=groq-rack-72",
    "model=llama-2-7b",
    "partition.stages=auto",
    "serving.max_context_tokens=2048",
    "serving.concurrent_sequences=4",
    "workload.request_count=60",
]
DRAWINGS = ("sram_map", "rack")
CHARTS = (
    "latency",
    "latency_split",
    "throughput_over_time",
    "occupancy_over_time",
    "critical_path",
    "limits",
    "energy_and_cost",
)
FILES = sorted(f"{name}.{end}" for name in (*DRAWINGS, *CHARTS) for end in ("png", "svg"))


def simulated(overrides):
    return rack_sim.simulate(rack_sim.load("llama70b", overrides))


def left(overrides, folder):
    """The record of a run as it is read back, with its objectives."""
    store.write(simulated(overrides).record(), folder)
    return store.read(folder)


def few_requests(count, *, input_tokens, output_tokens):
    return (
        "workload={kind: synthetic, arrivals: {kind: constant, gap_ms: 200}, "
        f"input_tokens: {{kind: fixed, tokens: {input_tokens}}}, "
        f"output_tokens: {{kind: fixed, tokens: {output_tokens}}}, request_count: {count}}}"
    )


def named(columns, rows):
    names = [column.name for column in columns]
    return [dict(zip(names, row, strict=True)) for row in rows]


def words_of(figure):
    parts = [*figure.texts]
    for axes in figure.axes:
        parts += [*axes.texts, *axes.get_yticklabels()]
    return " | ".join(part.get_text().replace("\n", " ") for part in parts)


def split_of(result):
    (panels,) = split_charts(result.record())
    return draw(panels)


def latency_of(result):
    return draw(next(latency_charts(result.record())))


def chart_of(groups, name):
    return next(chart for panels in groups for chart in panels.charts if chart.name == name)


def over_time_of(result):
    return draw(next(over_time_charts(result.record())))


@pytest.fixture(scope="module")
def node():
    return simulated(NODE)


@pytest.fixture(scope="module")
def rack():
    return simulated(RACK)


@pytest.fixture(scope="module")
def node_files(node, tmp_path_factory):
    folder = tmp_path_factory.mktemp("node")
    before = dict(matplotlib.rcParams)
    paths = draw_figures(node, node.record(), folder)
    assert dict(matplotlib.rcParams) == before, "the process's own settings are left alone"
    return paths


def check_files(paths, names=FILES):
    assert sorted(path.name for path in paths) == sorted(names)
    for path in paths:
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG")
            assert path.stat().st_size > 10_000
        else:
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
            assert b"<dc:date>" not in path.read_bytes()


def test_a_node_has_every_figure(node_files):
    check_files(node_files)


@pytest.mark.parametrize(("name", "drawn"), [("rack", draw_rack), ("sram_map", draw_memory_map)])
def test_a_rack_with_a_spare_node_is_drawn(rack, name, drawn, tmp_path):
    with drawing_style():
        figure = drawn(rack)
        paths = write_figure(figure, tmp_path / name)
    check_files(paths, [f"{name}.png", f"{name}.svg"])
    assert "spare" in words_of(figure)


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param(
            [*ONE_CHIP, few_requests(1, input_tokens=100, output_tokens=1)],
            id="one request of one token on one chip, shorter than a bin",
        ),
        pytest.param(
            [*MACHINE, few_requests(3, input_tokens=5000, output_tokens=9)],
            id="every request rejected",
        ),
    ],
)
def test_odd_runs_have_every_figure(overrides, tmp_path):
    result = simulated(overrides)
    check_files(draw_figures(result, result.record(), tmp_path))


def test_one_value_is_said_in_words_beside_its_objective(tmp_path):
    run = left([*MACHINE, "slo={tpot_ms: 0.1}"], tmp_path)
    pass_time = milliseconds(run.summary["tpot_ms_p50"])
    said = f"{pass_time} for every request that has it. SLO 100 µs: met by 0 %."
    words = words_of(draw(next(latency_charts(run)))).replace("\N{NO-BREAK SPACE}", " ")
    assert said.replace("\N{NO-BREAK SPACE}", " ") in words
    assert "of all requests finished and met every SLO" in words
    bare = simulated([*MACHINE, few_requests(2, input_tokens=100, output_tokens=9)]).record()
    assert "SLO" not in words_of(draw(next(latency_charts(bare))))


def test_what_is_missing_is_said_in_words():
    single = simulated([*MACHINE, few_requests(2, input_tokens=100, output_tokens=1)])
    assert "every output is one token." in words_of(latency_of(single))
    rejected = simulated([*MACHINE, few_requests(2, input_tokens=5000, output_tokens=1)])
    assert "No request finished." in words_of(latency_of(rejected))
    assert "No request finished." in words_of(split_of(rejected))
    assert "Nothing was served." in words_of(over_time_of(rejected))


@pytest.mark.parametrize(
    ("slo_ms", "words"), [(0.001, "SLO 1 µs: met by 0 %"), (10**6, "→ SLO 1,000 s: met by 100 %")]
)
def test_an_objective_far_from_the_curve_is_still_stated(slo_ms, words, tmp_path):
    run = left([*NODE, f"slo={{ttft_ms: {slo_ms}}}"], tmp_path)
    said = words_of(draw(next(latency_charts(run)))).replace("\N{NO-BREAK SPACE}", " ")
    assert words in said


@pytest.mark.slow
def test_another_process_draws_the_same_bytes_without_pyplot(node_files, tmp_path):
    program = (
        "import sys, pathlib, rack_sim\n"
        "from rack_sim.report.views import draw_figures\n"
        "assert 'matplotlib' not in sys.modules, 'matplotlib is imported when it is needed'\n"
        f"result = rack_sim.simulate(rack_sim.load('llama70b', {NODE!r}))\n"
        f"draw_figures(result, result.record(), pathlib.Path({str(tmp_path)!r}))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for path in node_files:
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_titles_state_the_numbers(node):
    one_pass_ms = f"{node.summary['tpot_ms_p50']:.4f}"
    pass_time = milliseconds(node.summary["tpot_ms_p50"])
    assert f"{pass_time} for every request" in words_of(latency_of(node))
    assert f"a token's {one_pass_ms} ms" in words_of(split_of(node))
    assert f"{node.summary['output_throughput_tok_s']:,.4g}"[:3] in words_of(over_time_of(node))


@pytest.mark.parametrize("count", [60, 120, 1_000])
def test_the_distribution_is_that_of_the_requests(count, tmp_path):
    run = left([*MACHINE, f"workload.request_count={count}", "slo={ttft_ms: 500}"], tmp_path)
    values_ms = run.frame("requests.csv")["ttft_ms"].dropna().to_numpy()
    chart = chart_of(latency_charts(run), "distribution-ttft")
    curve, *bins, half, most = chart.series
    assert len(curve.x) <= 250, "few enough for a page, however many requests there are"
    assert (curve.x[0], curve.x[-1]) == (values_ms.min(), values_ms.max())
    assert curve.y[-1] == 100
    for value_ms, share in zip(curve.x, curve.y, strict=True):
        assert (values_ms < value_ms).mean() <= share / 100 + 1e-12
        assert share / 100 - 1e-12 <= (values_ms <= value_ms).mean()
    assert len(bins) == (len(values_ms) > 100), "few requests are seen one by one"
    assert all(sum(one.values) == pytest.approx(100) for one in bins)
    assert half.x == (pytest.approx(run.summary["ttft_ms_p50"]),)
    assert most.x == (pytest.approx(run.summary["ttft_ms_p99"]),)
    met = 100 * (values_ms <= 500).mean()
    assert chart.limits[0].words.replace("\N{NO-BREAK SPACE}", " ").startswith("SLO 500 ms: met by")
    assert float(chart.limits[0].words.split()[-2]) == pytest.approx(met, abs=0.1)


@pytest.mark.parametrize("step_count_max", [1, 7, 500])
def test_resampling_keeps_every_token(node, step_count_max):
    steps = time_steps_of(node.record(), step_count_max)
    widths_s = np.diff(steps.edges_s)
    assert len(widths_s) <= step_count_max
    assert (widths_s > 0).all()
    assert steps.edges_s[-1] == pytest.approx(node.totals.end_ps / 10**12, abs=1e-9)
    for name in ("prompt_tokens", "output_tokens"):
        total = sum(int(chunk[name].sum()) for chunk in node.collector.bins.chunks())
        assert (steps.rates[name] * widths_s).sum() == pytest.approx(total)


def test_the_sram_map_adds_up_to_the_capacity(rack):
    step = rack.explanation.step
    plan = step.plan
    whole, short = memory_columns(step), memory_columns(step, column_count_max=10)
    assert (whole.column_count, short.column_count) == (plan.chip_count, plan.stage_count)
    assert whole.bytes_by_kind["weight"].sum() == plan.weight_bytes
    capacity_bytes = plan.system.chip.fast_memory.capacity_bytes
    for columns in (whole, short):
        assert (sum(columns.bytes_by_kind.values()) == capacity_bytes).all()
        assert capacity_bytes - columns.bytes_by_kind["free"].min() == plan.used_bytes_max


def test_the_split_of_the_first_token_is_its_mean(node):
    (panels,) = split_charts(node.record())
    chart = next(chart for chart in panels.charts if chart.name == "split-ttft")
    parts, wholes = (one.values for one in chart.series)
    assert sum(parts) == pytest.approx(node.summary["ttft_ms_mean"], abs=4e-6)
    assert wholes == pytest.approx([sum(parts)])
    waits = node.summary["ttft_admission_ms_mean"] + node.summary["ttft_row_wait_ms_mean"]
    assert waits == pytest.approx(node.summary["scheduling_delay_ms_mean"], abs=2e-6)


def test_the_drawn_rack_shows_what_the_tables_say(rack):
    load, step = load_of(rack), rack.explanation.step
    chips = named(CHIPS, chip_rows(step, rack.totals))
    links = named(LINKS, csv.reader(link_lines(step, rack.totals)))
    for row in chips:
        if row["role"] == "stage":
            chip = int(row["chip"])
            assert load.share_by_chip[chip] == pytest.approx(float(row["utilisation"]), abs=1e-9)
            assert load.stage_by_chip[chip] == int(row["stage"])
        else:
            assert int(row["chip"]) not in load.share_by_chip
    assert load.link_count == len(links)
    assert load.busy_link_count == sum(int(row["step_vectors"]) > 0 for row in links)
    busiest = max(float(row["utilisation"]) for row in links)
    assert max(load.share_by_pair.values()) == pytest.approx(busiest, abs=1e-9)


def test_the_drawn_rack_splits_its_vectors_by_traffic(rack):
    load, step = load_of(rack), rack.explanation.step
    rows = named(LINKS, csv.reader(link_lines(step, rack.totals)))
    total = sum(int(row["step_vectors"]) for row in rows)
    assert sum(load.share_by_traffic.values()) == pytest.approx(1)
    for kind, share in load.share_by_traffic.items():
        carried = sum(int(row[f"{kind}_step_vectors"]) for row in rows)
        assert share == pytest.approx(carried / total)
    with drawing_style():
        words = words_of(draw_rack(rack))
    assert all(f"% {kind}" in words for kind in ("gather", "reduce", "transfer"))


def test_the_drawn_critical_path_is_the_whole_latency(rack):
    """By stage and by kind, every term; the steps follow each other without a gap."""
    program = rack.explanation.step.program
    record = rack.record()
    groups = list(critical_path_charts(record))
    for name in ("path-stages", "path-tasks"):
        chart = chart_of(groups, name)
        assert sum(chart.values_of) == pytest.approx(program.latency_ps / 10**6, abs=1e-6)
    stages = chart_of(groups, "path-stages")
    assert {len(one.x) for one in stages.series} == {program.plan.stage_count}
    steps = steps_of(path_of(record))
    ends = (steps["start_ms"] + steps["time_ms"]).to_numpy()
    assert steps["start_ms"].to_numpy()[1:] == pytest.approx(ends[:-1], abs=1e-9)
    assert steps["pieces"].sum() == len(record.frame("critical_path.csv"))
    assert steps["pieces"].max() == 7


def path_of(record):
    path = record.frame("critical_path.csv")
    return path.assign(name=path["task"].map(whole_name))


def test_a_stage_is_zoomed_into_by_whole_blocks(rack):
    """As many blocks as have room with their names; each of them whole."""
    steps = steps_of(path_of(rack.record()))
    for stage in steps["stage"].unique():
        own, shown = steps[steps["stage"] == stage], zoomed(steps, stage)
        assert 0 < len(shown) <= 40
        assert list(shown.index) == list(own.index[: len(shown)])
        if len(shown) < len(own):
            assert own["block"].iloc[len(shown)] != shown["block"].iloc[-1]


def test_the_critical_path_is_named_without_the_caption(rack):
    program = rack.explanation.step.program
    (panels,) = critical_path_charts(rack.record())
    with drawing_style():
        words = words_of(draw(panels))
    for name in ("qkv projection · chip", "gather · link", "softmax"):
        assert name in words
    assert f"{program.latency_ps / 10**9:.4g} ms" in words
    chart = chart_of([panels], "path-steps")
    middle = program.plan.stage_count // 2
    assert f"Stage {middle}, task by task" in chart.title
    blocks = zoomed(steps_of(path_of(rack.record())), middle)["block"].unique()
    assert len(blocks) > 1
    assert len(chart.limits) == len(blocks) - 1
    assert all(block in chart.says for block in blocks)


def test_nothing_in_the_drawn_rack_overlaps(rack):
    topology = rack.explanation.plan.system.topology
    layout = lay_out(topology, range(len(topology.racks)))
    boxes = [(*layout.chip_centres[chip], layout.chip_sides[chip]) for chip in layout.chip_centres]
    assert len(boxes) == topology.chip_count
    for number, (x, y, side) in enumerate(boxes):
        assert side / 2 < x < layout.width - side / 2
        assert layout.header < y < layout.height - side / 2
        for other_x, other_y, other_side in boxes[:number]:
            apart = max(abs(x - other_x), abs(y - other_y))
            assert apart > (side + other_side) / 2


@pytest.mark.slow
def test_a_box_with_switches_is_drawn(tmp_path):
    """Links to a switch lead to the middle of the node, in which it stands."""
    box = "system.topology={kind: switched, chips: 8, switches: 3, links_per_chip: 7}"
    result = simulated([*MACHINE, box, "workload.request_count=5"])
    load = load_of(result)
    assert {place for pair in load.share_by_pair for place in pair} == set(range(8 + 3))
    assert load.racks_in_use(result.explanation.plan.system.topology) == [0]
    assert "rack.png" in {path.name for path in draw_figures(result, result.record(), tmp_path)}
