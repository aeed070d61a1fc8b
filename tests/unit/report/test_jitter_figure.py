"""The jitter figure draws whatever a study may hold, and shows what its tables say."""

from pathlib import Path
from typing import Any

import pytest

from rack_sim.report.figures.canvas import drawing_style, write_figure
from rack_sim.report.jitter_figure import draw_jitter
from rack_sim.scenario import load_study
from rack_sim.study import jitter
from rack_sim.study.jitter import JitterResult

NODE = "{system: groq-node-8, model.num_hidden_layers: 1, partition.stages: 1}"
RACK = "{system: groq-rack-72, model.num_hidden_layers: 3, partition.stages: 3}"


def result_of(points: str, jitters: str) -> JitterResult:
    changes = ["step_count=12", "warmup_step_count=4", "repeat_count=1"]
    study = load_study("jitter", [*changes, f"points={points}", f"operator_jitter_ns={jitters}"])
    return jitter.run(study)


def texts(figure: Any) -> list[str]:
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [axes.get_title(loc="left"), *(text.get_text() for text in axes.texts)]
    return found


def test_lines_are_the_rows() -> None:
    points = f"[{{name: node, overrides: {NODE}}}, {{name: rack, overrides: {RACK}}}]"
    result = result_of(points, "[0, 50, 1000]")
    with drawing_style():
        figure = draw_jitter(result)
    tokens, tail, slip = figure.axes
    for line, point in zip(tokens.lines, result.points, strict=True):
        kept = [100 * point.kept_share(row) for row in point.rows]
        assert line.get_ydata() == pytest.approx(kept)
    assert tail.lines[0].get_ydata()[0] == pytest.approx(result.points[0].step.revolution_ps / 1e9)
    assert len(slip.lines) == 3
    assert all(len(line.get_xdata()) == 3 for line in slip.lines), "a point for each stage"
    assert any("rack would lose" in text and "1 µs" in text for text in texts(figure))


@pytest.mark.parametrize("jitters", ["[0]", "[5000]", "[0.001, 0.002]", str([*range(0, 90, 5)])])
def test_any_jitters_can_be_drawn(tmp_path: Path, jitters: str) -> None:
    result = result_of(f"[{{name: a $node$, overrides: {NODE}}}]", jitters)
    with drawing_style():
        paths = write_figure(draw_jitter(result), tmp_path / "jitter")
    assert all(path.stat().st_size for path in paths)


def test_two_drawings_are_the_same_bytes(tmp_path: Path) -> None:
    result = result_of(f"[{{name: node, overrides: {NODE}}}]", "[0, 100]")
    with drawing_style():
        for name in ("a", "b"):
            write_figure(draw_jitter(result), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
