"""Example: the run that stands in reports/example and that the README shows.

Tables are cut short, figures are whole. `stamp.json` holds a digest of the uncut tables and of the
code that draws, so that a test can tell when the committed example is stale without comparing
pixels, which differ between versions of the drawing library.
"""

import json
import shutil
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.pipeline import simulate
from rack_sim.report.views import Wanted, leave
from rack_sim.scenario import load_scenario

SCENARIO = "llama70b"
_ROWS_KEPT = 20
_STAMP = "stamp.json"


def write_example(folder: Path) -> None:
    """Replaces the content of `folder` with the example run."""
    if folder.exists() and any(folder.iterdir()) and not (folder / _STAMP).is_file():
        raise InputError(Problem("holds other things than the example, and is kept", str(folder)))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in _texts(folder).items():
        (folder / name).write_text(text, encoding="utf-8")


def example_texts() -> dict[str, str]:
    """Name and content of every text file of the example, figures not drawn."""
    return _texts(None)


def _texts(figure_folder: Path | None) -> dict[str, str]:
    """The text files of the example; PNG figures go to `figure_folder` where one is given."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        result = simulate(load_scenario(SCENARIO))
        leave(result, folder, wall_s=0, wanted=Wanted(figure_folder is not None, html=False))
        if figure_folder is not None:
            for path in sorted(folder.glob("*.png")):
                shutil.copy(path, figure_folder / path.name)
        tables = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.csv")}
    texts = {name: _cut(text) for name, text in sorted(tables.items())}
    texts[_STAMP] = _stamp(tables)
    return texts


def _cut(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(lines[: _ROWS_KEPT + 1])


def _stamp(tables: dict[str, str]) -> str:
    """Digests of what the figures are drawn from and with."""
    folders = (Path(__file__).with_name(name) for name in ("charts", "draw", "figures"))
    paths = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    code = b"".join(path.read_bytes() for path in paths)
    data = "".join(tables[name] for name in sorted(tables)).encode()
    digests = {"tables": sha256(data).hexdigest(), "figure_code": sha256(code).hexdigest()}
    return json.dumps({"scenario": SCENARIO, **digests}, indent=2) + "\n"
