"""HTML: a finished run, study, comparison, sizing or sensitivity as one self-contained page.

- `run`: the page of a run: `answer`, `rack` (`rack_section`, `rack_drawing`), `requests`,
  `limits`, `replicas`, `inputs`, `warnings`; the rest of it is charts
- `study`, `comparison`, `sizing`, `sensitivity`: the pages of those
- `page`: what a page is made of, and how it becomes a file
- `templates`: the page, its style and its script

A page is made of a record. It asks no network for anything: plotly.js is in it, as the Python
package has it. Two pages of one record are byte for byte the same.
"""

from pathlib import Path

from rack_sim.record.kinds import KINDS
from rack_sim.record.manifest import told_if_altered
from rack_sim.record.store import read

__all__ = ["read_finished"]


def read_finished(folder: Path) -> str:
    """Which kind of finished directory `folder` is, and of what, once it could be read whole.

    Raises InputError where it is none, is not whole, or was written by another version.
    """
    from rack_sim.report.kinds import story_of

    record = read(folder)
    record.read_all()
    with told_if_altered(folder):
        story_of(record.kind).page(record)
    key = KINDS[record.kind].key
    name = record.name if isinstance(record.facts[key], str) else ""
    words = "run of scenario" if record.kind == "run" else key
    return f"finished {words} {name}".rstrip()
