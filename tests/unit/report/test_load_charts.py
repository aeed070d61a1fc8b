"""The charts of a load study draw whatever a study may hold, and show what its tables say."""

from pathlib import Path

import pytest

from rack_sim.record.store import read, write
from rack_sim.report.chart import Panels
from rack_sim.report.charts.load import load_charts
from rack_sim.report.draw.matplotlib import draw
from rack_sim.report.figures.canvas import drawing_style, write_figure
from rack_sim.scenario import load_study
from rack_sim.study import load
from rack_sim.study.load import LoadResult

NODE = "system: groq-node-8, model.num_hidden_layers: 1, partition.stages: 1"


def result_of(rates: str, *changes: str, points: int = 1) -> LoadResult:
    machines = ", ".join(
        f"{{name: $node$ {number}, overrides: {{{NODE}, serving.slot_rows: {number + 1}}}}}"
        for number in range(points)
    )
    given = [f"points=[{machines}]", f"rates_rps={rates}", "request_count=60", *changes]
    return load.run(load_study("load", given))


def told(result: LoadResult, folder: Path) -> dict[str, Panels]:
    """The charts of a result, made of what it leaves behind."""
    folder.mkdir(exist_ok=True)
    write(result.record(), folder)
    return {panels.name: panels for panels in load_charts(read(folder))}


def test_curves_are_the_rows(tmp_path: Path) -> None:
    result = result_of("[20, 100, 300]", "attainment=0.5", "slo={ttft_ms: 500}")
    (point,) = result.points
    pictures = told(result, tmp_path)
    for chart, metric in zip(pictures["load_latency"].charts, ("ttft", "tpot"), strict=False):
        for line, percent in zip(chart.series, (99, 50), strict=True):
            assert line.name == f"p{percent}"
            values = [row.latencies_ms[f"{metric}_ms_p{percent}"] for row in point.rows]
            count = len(line.y)
            assert count
            assert list(line.y) == pytest.approx(values[:count])
            assert list(line.x) == pytest.approx([row.offered_rps for row in point.rows[:count]])
    (served,) = pictures["load_goodput"].charts
    for line, column in zip(
        served.series, ("request_throughput_rps", "request_goodput_rps"), strict=False
    ):
        values = [getattr(row, column) for row in point.rows][: len(line.y)]
        assert list(line.y) == pytest.approx(values)
    ttft = pictures["load_latency"].charts[0]
    assert "SLO 500 ms" in {limit.words for limit in ttft.limits}
    knee = next(limit for limit in served.limits if limit.words.startswith("knee: "))
    assert knee.value == pytest.approx(point.knee.met.offered_rps)
    assert "meets its SLO for 50 %" in pictures["load_latency"].title


@pytest.mark.parametrize(
    ("rates", "changes", "points"),
    [
        ("[5]", (), 1),
        ("[100000]", (), 1),
        ("[0.01, 1, 1000]", (), 1),
        ("[5, 5000]", ("slo={}",), 1),
        ("[5, 50]", ("slo={tpot_ms: 0.0001}",), 1),
        ("[5, 50]", ("slo={ttft_ms: 1000000, e2el_ms: 1000000}",), 2),
        ("[20, 2000]", ("workload.output_tokens={kind: fixed, tokens: 1}",), 1),
        ("[20, 2000]", ("workload.output_tokens={kind: fixed, tokens: 1}",), 3),
        ("[20, 2000]", (), 8),
    ],
)
def test_any_study_can_be_drawn(
    tmp_path: Path, rates: str, changes: tuple[str, ...], points: int
) -> None:
    result = result_of(rates, *changes, points=points)
    with drawing_style():
        for name, panels in told(result, tmp_path / "result").items():
            paths = write_figure(draw(panels), tmp_path / name)
            assert all(path.stat().st_size for path in paths)
