"""HTML: a finished run, study, comparison, sizing or sensitivity as one self-contained page.

- `run`: the page of a run: `answer`, `rack` (`rack_section`, `rack_drawing`), `requests`,
  `limits`, `replicas`, `inputs`, `warnings`; the rest of it is charts
- `study`, `comparison`, `sizing`, `sensitivity`: the pages of those
- `page`: what a page is made of, and how it becomes a file
- `quantity`: numbers with their units
- `templates`: the page, its style and its script

A page is made from the files of its directory. It asks no network for anything: plotly.js is in
it, as the Python package has it. Two pages of one folder are byte for byte the same.
"""

from pathlib import Path

from rack_sim.record.directory import whole_file
from rack_sim.record.kinds import KINDS
from rack_sim.record.manifest import told_if_altered
from rack_sim.record.store import read

__all__ = ["read_finished", "write_html"]


def read_finished(folder: Path) -> str:
    """Which kind of finished directory `folder` is, and of what, once it could be read whole.

    Raises InputError where it is none, is not whole, or was written by another version.
    """
    record = read(folder)
    record.read_all()
    _page(folder)
    key = KINDS[record.kind].key
    name = record.name if isinstance(record.facts[key], str) else ""
    words = "run of scenario" if record.kind == "run" else key
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
    from rack_sim.report.html.page import html_of
    from rack_sim.report.kinds import story_of

    record = read(folder)
    with told_if_altered(folder):
        return html_of(story_of(record.kind).page(record))
