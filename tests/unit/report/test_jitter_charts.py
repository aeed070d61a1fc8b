"""The charts of a jitter study draw whatever a study may hold, and shows what its tables say."""

from pathlib import Path

import pytest

from rack_sim.report.charts.jitter import jitter_charts
from rack_sim.report.draw.matplotlib import draw
from rack_sim.report.figures.canvas import drawing_style, write_figure
from rack_sim.scenario import load_study
from rack_sim.study import jitter
from rack_sim.study.jitter import JitterResult

NODE = "{system: groq-node-8, model.num_hidden_layers: 1, partition.stages: 1}"
RACK = "{system: groq-rack-72, model.num_hidden_layers: 3, partition.stages: 3}"


def result_of(points: str, jitters: str) -> JitterResult:
    changes = ["step_count=12", "warmup_step_count=4", "repeat_count=1"]
    study = load_study("jitter", [*changes, f"points={points}", f"operator_jitter_ns={jitters}"])
    return jitter.run(study)


def test_lines_are_the_rows() -> None:
    points = f"[{{name: node, overrides: {NODE}}}, {{name: rack, overrides: {RACK}}}]"
    result = result_of(points, "[0, 50, 1000]")
    (panels,) = jitter_charts(result.record())
    speed, gap, slip = panels.charts
    for line, point in zip(speed.series, result.points, strict=True):
        kept = [100 * point.kept_share(row) for row in point.rows]
        assert list(line.y) == pytest.approx(kept, abs=1e-4), "six digits behind the point"
    assert speed.x.labels == ("none", "50 ns", "1 µs")
    assert gap.series[0].y[0] == pytest.approx(result.points[0].step.revolution_ps / 1e9)
    assert len(slip.series) == 3
    assert all(len(line.x) == 3 for line in slip.series), "a point for each stage"
    assert "rack would lose" in panels.title
    assert "1 µs" in panels.title


@pytest.mark.parametrize("jitters", ["[0]", "[5000]", "[0.001, 0.002]", str([*range(0, 90, 5)])])
def test_any_jitters_can_be_drawn(tmp_path: Path, jitters: str) -> None:
    result = result_of(f"[{{name: a $node$, overrides: {NODE}}}]", jitters)
    (panels,) = jitter_charts(result.record())
    with drawing_style():
        paths = write_figure(draw(panels), tmp_path / "jitter")
    assert all(path.stat().st_size for path in paths)
