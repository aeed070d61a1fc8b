"""A path in an option starts where the user stands, one in a file at that file."""

from pathlib import Path

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.scenario import GridStudy, LoadStudy, load_scenario, load_study

TRACE = "arrival_s,input_tokens,output_tokens\n0,10,5\n1,10,5\n"


@pytest.fixture
def folders(here: Path, small: str) -> Path:
    """Where a user stands, with a scenario and its files in a folder beside it."""
    for folder, count in (("here", 1), ("there", 2)):
        Path(folder).mkdir()
        Path(folder, "t.csv").write_text("".join(TRACE.splitlines(keepends=True)[: count + 1]))
        Path(folder, "m.yaml").write_text(
            f"model_type: llama\nnum_hidden_layers: {10 * count}\nhidden_size: 512\n"
            "vocab_size: 9\nnum_attention_heads: 8\nintermediate_size: 64\n"
            "max_position_embeddings: 4096\n"
        )
        Path(folder, "p.yaml").write_text(small.replace("model: llama-2-7b", "model: m.yaml"))
    return here


def layers(path: str, *overrides: str) -> int:
    return len(load_scenario(path, overrides).deployment.model.layers)


@pytest.mark.parametrize("key", ["model", "model.preset"])
def test_of_a_model(folders: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.chdir("here")
    assert layers("../there/p.yaml") == 20
    assert layers("../there/p.yaml", f"{key}=m.yaml") == 10
    assert layers("../there/p.yaml", "model={preset: ./m.yaml, vocab_size: 7}") == 10
    assert layers("llama70b", "model=m.yaml", "partition.stages=auto") == 10


def test_of_a_trace(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("here")
    for given in ("workload={kind: trace, path: t.csv}", "workload={kind: trace, path: ./t.csv}"):
        scenario = load_scenario("../there/p.yaml", [given])
        assert scenario.trace_check
        assert scenario.trace_check.request_count == 1
    text = Path("../there/p.yaml").read_text()
    head = text[: text.index("workload:")]
    Path("../there/q.yaml").write_text(head + "workload: {kind: trace, path: t.csv}\nseed: 1\n")
    scenario = load_scenario("../there/q.yaml")
    assert scenario.trace_check
    assert scenario.trace_check.request_count == 2
    scenario = load_scenario("../there/q.yaml", ["workload.path=t.csv"])
    assert scenario.trace_check
    assert scenario.trace_check.request_count == 1


def test_of_a_study(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/load.md: a preset of a study takes the user's own scenario."""
    monkeypatch.chdir("here")
    study = load_study("load", ["scenario=p.yaml", "rates_rps=[2]"])
    assert isinstance(study, LoadStudy)
    assert len(study.points[0].scenario.deployment.model.layers) == 10


def test_of_changes_inside_a_study(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("here")
    Path("../there/load.yaml").write_text(
        "kind: load\nname: a\nscenario: ../here/p.yaml\nrates_rps: [2]\nattainment: 0.9\n"
        "request_count: 5\npoints: [{name: b, overrides: {model: m.yaml}}]\n"
    )
    Path("../there/grid.yaml").write_text(
        "kind: grid\nname: a\nscenario: ../here/p.yaml\noverrides: {model: m.yaml}\n"
        "grid: {seed: [1, 2]}\ncollect: [tpot_ms_p50]\n"
    )
    for name in ("load", "grid"):
        study = load_study(f"../there/{name}.yaml")
        assert len(study.points[0].scenario.deployment.model.layers) == 20
        study = load_study(f"../there/{name}.yaml", ["model=m.yaml"])
        assert len(study.points[0].scenario.deployment.model.layers) == 10
    Path("../there/axis.yaml").write_text(
        "kind: grid\nname: a\nscenario: ../here/p.yaml\n"
        "grid: {model: [m.yaml, llama-2-7b]}\ncollect: [tpot_ms_p50]\n"
    )
    study = load_study("../there/axis.yaml")
    assert isinstance(study, GridStudy)
    (mine, preset) = study.axes[0].choices
    assert Path(str(mine)).resolve() == (folders / "there" / "m.yaml").resolve()
    assert preset == "llama-2-7b"
    assert study.axes[0].labels == ("m.yaml", "llama-2-7b")


def test_a_chip_beside_its_system(folders: Path) -> None:
    """With and without a slash: a file name is a path."""
    from rack_sim.scenario.library import find

    chip = find("chip", "groq-lpu-v1", Path()).read_text().replace("name: groq-lpu-v1", "name: own")
    Path("there/own.yaml").write_text(chip)
    system = find("system", "groq-rack-72", Path()).read_text()
    for given in ("own.yaml", "./own.yaml", "{preset: own.yaml, port_count: 99}"):
        Path("there/s.yaml").write_text(system.replace("chip: groq-lpu-v1", f"chip: {given}"))
        scenario = load_scenario("there/p.yaml", ["system=there/s.yaml"])
        assert scenario.deployment.system.chip.name == "own"


def test_a_directory_does_not_hide_a_preset(folders: Path) -> None:
    """As `--out llama70b` leaves one."""
    Path("llama70b").mkdir()
    Path("load").mkdir()
    assert load_scenario("llama70b").name == "llama70b"
    assert load_study("load").name == "load"


@pytest.mark.parametrize(
    "override",
    [
        'workload={kind: trace, path: "a\\0b"}',
        'workload={kind: trace, path: "a\\e[31mb"}',
        'model="a\\0.json"',
        'system="a\\0/b"',
        'system.name="a\\e[31mb"',
        'model.name="a\\x07b"',
        'system.chip.name="a\\nb"',
    ],
)
def test_no_commands_to_a_terminal_in_names(folders: Path, override: str) -> None:
    with pytest.raises(Exception, match="--set ") as caught:
        load_scenario("there/p.yaml", [override])
    assert type(caught.value).__name__ == "InputError"


@pytest.mark.parametrize("given", ["system: ..", "model: ./none.yaml", "system: {preset: ./}"])
def test_what_cannot_be_opened_stands_where_it_is_named(folders: Path, given: str) -> None:
    text = Path("here/p.yaml").read_text()
    key = given.partition(":")[0]
    kept = [line for line in text.splitlines() if not line.startswith(f"{key}:")]
    Path("here/p.yaml").write_text("\n".join([given, *kept]))
    with pytest.raises(InputError) as raised:
        load_scenario("here/p.yaml")
    (problem,) = raised.value.problems
    assert (problem.place, problem.line, problem.column) == ("here/p.yaml", 1, 1)


def test_what_a_study_cannot_open_stands_where_it_is_named(folders: Path) -> None:
    Path("here/s.yaml").write_text(
        "kind: grid\nname: s\nscenario: ../\ngrid: {seed: [1]}\ncollect: [tpot_ms_p50]\n"
    )
    with pytest.raises(InputError, match=r"^here/s\.yaml:3:1: .*is a directory") as raised:
        load_study("here/s.yaml")
    assert len(raised.value.problems) == 1


GRID = "kind: grid\nname: g\nscenario: gone.yaml\ngrid: {seed: [1, 2]}\ncollect: [tpot_ms_p50]\n"
LOAD = "kind: load\nname: l\nscenario: gone.yaml\nrates_rps: [1, 2]\nrequest_count: 200\n"
LOADS = LOAD.replace("scenario: gone.yaml\n", "points:\n  - name: a\n    scenario: gone.yaml\n")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (("model: llama-2-7b", "model: gone.yaml"), "p.yaml:3:1: "),
        (("system: groq-rack-72", "system: gone.yaml"), "p.yaml:2:1: "),
        (
            ("system: groq-rack-72", "system: {preset: groq-rack-72, chip: gone.yaml}"),
            "p.yaml:2:32: ",
        ),
        (GRID, "p.yaml:3:1: "),
        (LOAD, "p.yaml:3:1: "),
        (LOADS, "p.yaml:5:5: "),
        (LOAD.replace("gone.yaml", "llama70b") + "points: [{name: a, overrides: "
         "{model: gone.yaml}}]\n", "p.yaml:6:32: "),
    ],
)  # fmt: skip
def test_a_file_that_is_not_there_is_said_where_it_is_named(
    here: Path, small: str, change: tuple[str, str] | str, place: str
) -> None:
    """Whatever names it: a scenario, a study, a machine of one."""
    is_study = isinstance(change, str)
    Path("p.yaml").write_text(change if isinstance(change, str) else small.replace(*change))
    with pytest.raises(InputError) as caught:
        (load_study if is_study else load_scenario)("p.yaml")
    assert str(caught.value).startswith(place)
    assert "no such file" in str(caught.value)
    assert "gone.yaml" in str(caught.value)
