"""HTML: a finished run, study or comparison as one self-contained page, made from its files.

- `run`: the page of a run: `answer`, `rack` (`rack_section`, `rack_drawing`), `requests`,
  `latency`, `over_time`, `critical_path`, `limits`, `replicas`, `inputs`, `warnings`
- `page`: what a page is made of, and how it becomes a file
- `plot`: plotly's traces and layouts as plain data
- `quantity`: numbers with their units
- `templates`: the page, its style and its script

The page asks no network for anything: plotly.js is in it, as the Python package has it. Two pages
of one folder are byte for byte the same.
"""

from pathlib import Path

from rack_sim.report.run_tables import read_run_tables

__all__ = ["write_html"]


def write_html(folder: Path, target: Path) -> None:
    """Writes the report of the run in `folder` to the file `target`.

    Raises InputError where `folder` is no run, is not whole, or was written by another version.
    """
    from rack_sim.report.html.page import html_of
    from rack_sim.report.html.run import run_page

    target.write_text(html_of(run_page(read_run_tables(folder))), encoding="utf-8", newline="\n")
