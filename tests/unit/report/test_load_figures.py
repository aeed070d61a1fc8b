"""The load figures draw whatever a study may hold, and show what its tables say."""

from pathlib import Path
from typing import Any

import pytest

from rack_sim.report.figures.canvas import drawing_style, write_figure
from rack_sim.report.load_figures import draw_load_goodput, draw_load_latency
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


def texts(figure: Any) -> list[str]:
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [axes.get_title(loc="left"), *(text.get_text() for text in axes.texts)]
    return found


def test_curves_are_the_rows() -> None:
    result = result_of("[20, 100, 300]", "attainment=0.5", "slo={ttft_ms: 500}")
    (point,) = result.points
    with drawing_style():
        latency, goodput = draw_load_latency(result), draw_load_goodput(result)
    for axes, metric in zip(latency.axes, ("ttft", "tpot"), strict=True):
        for line, percent in zip(axes.lines, (99, 50), strict=False):
            values = [row.latencies_ms[f"{metric}_ms_p{percent}"] for row in point.rows]
            count = len(line.get_ydata())
            assert line.get_ydata() == pytest.approx(values[:count])
            assert line.get_xdata() == pytest.approx(
                [row.offered_rps for row in point.rows[:count]]
            )
    finished, good = goodput.axes[0].lines[:2]
    count = len(finished.get_ydata())
    assert finished.get_ydata() == pytest.approx(
        [row.request_throughput_rps for row in point.rows][:count]
    )
    assert good.get_ydata() == pytest.approx(
        [row.request_goodput_rps for row in point.rows][:count]
    )
    assert any("SLO 500 ms" in text for text in texts(latency))
    assert any(text.startswith("knee: ") for text in texts(goodput))


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
        for draw in (draw_load_latency, draw_load_goodput):
            paths = write_figure(draw(result), tmp_path / draw.__name__)
            assert all(path.stat().st_size for path in paths)


def test_two_drawings_are_the_same_bytes(tmp_path: Path) -> None:
    result = result_of("[20, 200]")
    with drawing_style():
        for name in ("a", "b"):
            write_figure(draw_load_goodput(result), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
