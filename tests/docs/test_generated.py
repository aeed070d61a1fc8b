"""What is generated is what the code says now; a stale file names the command that mends it."""

import json
from pathlib import Path

import pytest

from rack_sim.foundation.work_limits import limits_markdown
from rack_sim.record.columns_reference import columns_markdown
from rack_sim.report.example import example_texts
from rack_sim.scenario.json_schema import schemas
from rack_sim.scenario.library import SCHEMA_FILES
from rack_sim.scenario.reference import reference_markdown
from rack_sim.study.lpu_validation import lpu_validation_markdown
from rack_sim.study.measurements import read_measurements, shipped_table
from rack_sim.study.predictions import predict
from rack_sim.study.reference_tables import reference_tables_markdown
from rack_sim.study.topologies import topologies_markdown
from rack_sim.study.validation import (
    input_stamp,
    prediction_record,
    read_record,
    validation_markdown,
)

ROOT = Path(__file__).resolve().parents[2]
MEND = "stale: run scripts/refresh and commit"


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("limits.md", limits_markdown),
        ("metrics.md", columns_markdown),
        ("scenario-reference.md", reference_markdown),
        pytest.param("topologies.md", topologies_markdown, marks=pytest.mark.slow),
        ("validation.md", lambda: validation_markdown(read_record(ROOT / "docs"))),
        pytest.param("validation-lpu.md", lpu_validation_markdown, marks=pytest.mark.slow),
        pytest.param("reference-tables.md", reference_tables_markdown, marks=pytest.mark.slow),
    ],
)
def test_documentation_is_fresh(name, write):
    """The committed page equals the generated one."""
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == write(), f"docs/{name} {MEND}"


@pytest.mark.parametrize("name", SCHEMA_FILES.values())
def test_schemas_are_fresh(name):
    """The committed JSON schema equals the generated one."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text == schemas()[name], f"{name} stale: run scripts/refresh docs and commit"


REMAKE = "stale: run `rack-sim validate-model --write-docs` and commit"
# One of each kind of load, chip family and number of chips, each within a second.
SAMPLE = ("groq-03", "cer-02", "trt-03", "trt-17", "trt-23", "lib-07", "lib-29", "lib-48", "lib-68")


def test_the_record_of_predictions_is_of_these_tables_and_presets():
    """Table of measurements, chips, systems and models are those that were predicted from."""
    assert read_record(ROOT / "docs")["stamp"] == input_stamp(), f"docs/validation.json {REMAKE}"


def test_rows_predicted_now_are_those_of_the_record():
    """The code says what it said: a sample of the rows, to the last digit kept."""
    record = {row["id"]: row for row in read_record(ROOT / "docs")["predictions"]}
    rows = {row.number: row for row in read_measurements(shipped_table())}
    assert set(record) == set(rows)
    for number in SAMPLE:
        found = prediction_record(predict(rows[number], shipped_table().parent))
        assert found == record[number], f"{number}: docs/validation.json {REMAKE}"


def test_the_example_is_fresh():
    """Tables, and the digest of what the figures were drawn from and with."""
    folder = ROOT / "reports" / "example"
    for name, text in example_texts().items():
        assert (folder / name).read_text(encoding="utf-8") == text, f"reports/example/{name} {MEND}"


def test_the_readme_shows_figures_of_the_example():
    """Every picture of the README is there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = [
        part.split(")")[0] for part in text.split("](") if part.split(")")[0].endswith(".png")
    ]
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).is_file(), picture


def test_links_between_pages_lead_somewhere():
    """Relative links in Markdown name files that exist."""
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for part in page.read_text(encoding="utf-8").split("](")[1:]:
            target = part.split(")")[0].split("#")[0]
            if target and "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_example_stamp_names_its_scenario():
    """The stamp is readable and about the scenario the README runs."""
    stamp = json.loads((ROOT / "reports" / "example" / "stamp.json").read_text(encoding="utf-8"))
    assert stamp["scenario"] == "llama70b"
