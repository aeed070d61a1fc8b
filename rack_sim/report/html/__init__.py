"""HTML: a finished run, study, comparison, sizing or sensitivity as one self-contained page.

- `run`: the page of a run: `answer`, `rack` (`rack_section`, `rack_drawing`), `requests`,
  `latency`, `over_time`, `critical_path`, `limits`, `replicas`, `inputs`, `warnings`
- `study` (`study_tables`, `study_charts`), `comparison`, `sizing` (`sizing_charts`),
  `sensitivity`: the pages of those
- `page`: what a page is made of, and how it becomes a file
- `plot`: plotly's traces and layouts as plain data
- `quantity`: numbers with their units
- `templates`: the page, its style and its script

A page is made from the files of its directory. It asks no network for anything: plotly.js is in
it, as the Python package has it. Two pages of one folder are byte for byte the same.
"""

from pathlib import Path

from rack_sim.record.directory import whole_file
from rack_sim.record.kinds import KINDS, kind_of
from rack_sim.record.manifest import read_manifest, told_if_altered
from rack_sim.report.run_tables import read_run_tables

__all__ = ["read_finished", "write_html"]


def read_finished(folder: Path) -> str:
    """Which kind of finished directory `folder` is, and of what, once it could be read whole.

    Raises InputError where it is none, is not whole, or was written by another version.
    """
    manifest = read_manifest(folder)
    kind = kind_of(manifest)
    if kind == "run":  # its page is made without some of its tables
        read_run_tables(folder).read_all()
    _page(folder)
    key = KINDS[kind].key
    name = manifest[key] if isinstance(manifest[key], str) else ""
    words = "run of scenario" if kind == "run" else key
    return f"finished {words} {name}".rstrip()


def write_html(folder: Path, target: Path) -> None:
    """Writes the report of what is in `folder`, of whatever kind, to the file `target`.

    Raises InputError where `folder` holds none, is not whole, or was written by another version;
    what was in `target` before is replaced only by a whole report.
    """
    text = _page(folder)
    with whole_file(target, force=True) as draft:
        draft.path.write_text(text, encoding="utf-8", newline="")


def _page(folder: Path) -> str:
    """The page of what is in `folder`."""
    from rack_sim.report.comparison_tables import read_comparison_tables
    from rack_sim.report.html.comparison import comparison_page
    from rack_sim.report.html.page import html_of
    from rack_sim.report.html.run import run_page
    from rack_sim.report.html.sensitivity import sensitivity_page
    from rack_sim.report.html.sizing import sizing_page
    from rack_sim.report.html.study import study_page
    from rack_sim.report.html.study_tables import read_study_tables
    from rack_sim.report.sensitivity_tables import read_sensitivity_tables
    from rack_sim.report.sizing_tables import read_sizing_tables

    manifest = read_manifest(folder)
    kind = kind_of(manifest)
    with told_if_altered(folder):
        if kind in ("load", "jitter", "grid"):
            return html_of(study_page(read_study_tables(folder, manifest)))
        if kind == "compare":
            return html_of(comparison_page(read_comparison_tables(folder, manifest)))
        if kind == "size":
            return html_of(sizing_page(read_sizing_tables(folder, manifest)))
        if kind == "sensitivity":
            return html_of(sensitivity_page(read_sensitivity_tables(folder, manifest)))
        return html_of(run_page(read_run_tables(folder)))
