"""What `import rack_sim` offers: names, types, and what a function takes for a scenario."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rack_sim
from rack_sim.scenario import resolved_yaml

DOCS = Path(__file__).resolve().parents[3] / "docs"
FEW = {"workload.request_count": 20}


def test_every_public_name_is_there_says_what_it_is_and_stands_in_the_tutorial():
    tutorial = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    for name in rack_sim.__all__:
        found = getattr(rack_sim, name)
        assert name in dir(rack_sim)
        assert name in tutorial, name
        if name != "__version__":
            first = (found.__doc__ or "").split("\n\n")[0]
            assert first.rstrip().endswith("."), name
    assert set(rack_sim._HOMES) == set(rack_sim.__all__)


def test_names_that_are_not_there_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'simulat'"):
        rack_sim.simulat  # noqa: B018


def test_importing_takes_nothing_with_it():
    """So that a command can answer Ctrl-C from its first moment."""
    code = "import sys, rack_sim; print(sorted({n.split('.')[0] for n in sys.modules} & HEAVY))"
    heavy = "HEAVY = {'numpy', 'pandas', 'pydantic', 'matplotlib', 'scipy', 'simpy'}; "
    found = subprocess.run(
        [sys.executable, "-c", heavy + code], capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"


def test_a_scenario_by_name_by_file_by_keys_and_loaded_is_the_same(tmp_path):
    """And so are changes as words and as a mapping, with numbers of numpy among them."""
    as_words = ["workload.request_count=20", "partition.objective=fewest_chips"]
    as_keys = {"workload.request_count": np.int64(20), "partition.objective": "fewest_chips"}
    loaded = rack_sim.load("llama70b", as_words)
    file = tmp_path / "mine.yaml"
    file.write_text(resolved_yaml(loaded), encoding="utf-8")
    hashes = {
        loaded.scenario_hash,
        rack_sim.load("llama70b", as_keys).scenario_hash,
        rack_sim.load(file).scenario_hash,
        rack_sim.load(str(file), as_keys).scenario_hash,
        rack_sim.load(loaded.resolved).scenario_hash,
        rack_sim.load(loaded.resolved, as_keys).scenario_hash,
    }
    assert hashes == {loaded.scenario_hash}
    results = [
        rack_sim.simulate("llama70b", as_keys),
        rack_sim.simulate(loaded),
        rack_sim.simulate(loaded, explanation=rack_sim.explain(loaded)),
        rack_sim.simulate(file, every_step=True),
    ]
    assert all(result.summary == results[0].summary for result in results)


@pytest.mark.parametrize("given", [None, 3, [1]])
def test_what_is_no_reference_is_said(given):
    for function, name in (
        (rack_sim.load, "load: reference"),
        (rack_sim.explain, "explain: scena"),
    ):
        with pytest.raises(rack_sim.InputError) as caught:
            function(given)
        text = str(caught.value)
        assert name in text
        assert f"{given!r} was given" in text
        assert "the name of a preset, a file, or the keys of a scenario" in text


def test_a_trace_is_a_path():
    with pytest.raises(rack_sim.InputError) as caught:
        rack_sim.load("llama70b", trace=pd.DataFrame({"input_tokens": [1]}))
    assert "load: trace: DataFrame was given; it is the path of a trace file" in str(caught.value)
    with pytest.raises(rack_sim.InputError) as caught:
        rack_sim.load(None, trace=7)
    assert len(caught.value.problems) == 2, "all at once"


def test_keys_are_not_changed():
    """A mapping that was given is the user's."""
    keys = dict(rack_sim.load("llama70b").resolved)
    before = repr(keys)
    rack_sim.load(keys, {"system.chip.memory.0.capacity_mb": 300})
    assert repr(keys) == before


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rack_sim.load("lama70b"), "no scenario is called 'lama70b'"),
        (lambda: rack_sim.explain("llama70b", ["sede=7"]), "unknown key 'sede'"),
        (lambda: rack_sim.simulate("llama70b", {"sede": 7}), "--set sede=7: unknown key 'sede'"),
        (
            lambda: rack_sim.load("llama70b", "seed=7"),
            'it is a list such as ["seed=7"], or a mapping',
        ),
        (
            lambda: rack_sim.simulate(rack_sim.load("llama70b"), FEW),
            "a scenario that is loaded already takes no overrides",
        ),
        (lambda: rack_sim.load("llama70b", {"seed": object()}), "seed: cannot stand in a scenario"),
        (lambda: rack_sim.load("llama70b", {"seed": float("nan")}), "seed"),
        (lambda: rack_sim.load({"name": "x"}), "key 'system' is missing"),
        (lambda: rack_sim.load({"name": "x"}, trace="t.csv"), "cannot be combined with a mapping"),
        (lambda: rack_sim.schema_file("chop"), "no kind of file is called 'chop' (did you mean"),
    ],
)
def test_bad_input_is_an_input_error(call, message):
    with pytest.raises(rack_sim.InputError) as caught:
        call()
    assert message in str(caught.value)


def test_what_does_not_fit_is_infeasible():
    with pytest.raises(rack_sim.InfeasibleError, match="what would make it fit"):
        rack_sim.explain("llama70b", {"precision.weights": "fp16"})


def test_schemas_are_files():
    for kind in ("scenario", "study", "model", "chip", "system", "price"):
        assert rack_sim.schema_file(kind).is_file()


USER = """
import pandas as pd
import rack_sim

found = rack_sim.explain("llama70b", ["seed=7"])
reveal_type(found)
reveal_type(found.chip_count)
result = rack_sim.simulate(found.scenario)
reveal_type(result)
reveal_type(result.requests())
reveal_type(result.frames())
reveal_type(rack_sim.load({"name": "mine"}, {"seed": 7}))
reveal_type(rack_sim.__version__)
frame: pd.DataFrame = result.memory()
try:
    rack_sim.load("mine.yaml")
except rack_sim.InputError as error:
    reveal_type(error)
rack_sim.explain(5)
rack_sim.simulate("llama70b", job=2)
"""
REVEALED = [
    "rack_sim.pipeline.Explanation",
    "int",
    "rack_sim.pipeline.Result",
    "pandas.core.frame.DataFrame",
    "dict[str, pandas.core.frame.DataFrame]",
    "rack_sim.scenario.scenario.Scenario",
    "str",
    "rack_sim.foundation.errors.InputError",
]


@pytest.mark.slow
def test_a_script_of_a_user_is_checked_by_mypy(tmp_path):
    """Strictly, and with the types that the functions have; slips are seen before the run."""
    script = tmp_path / "mine.py"
    script.write_text(USER, encoding="utf-8")
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "", str(script)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    notes = [line.split('"')[1] for line in found.stdout.splitlines() if "note: Revealed" in line]
    assert [note.removeprefix("builtins.").replace("builtins.", "") for note in notes] == REVEALED
    errors = [line for line in found.stdout.splitlines() if " error: " in line]
    assert len(errors) == 2, found.stdout
    assert 'mine.py:19: error: Argument 1 to "explain"' in errors[0]
    assert 'Unexpected keyword argument "job" for "simulate"' in errors[1]
