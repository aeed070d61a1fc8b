"""Limits of work: one table, read strictly from the environment, told in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError
from rack_sim.foundation.work_limits import (
    LIMITS,
    VARIABLE,
    limit,
    over_limit,
    raised,
    refuse_over,
)

NAMES = [entry.name for entry in LIMITS]


def test_names_are_there_once():
    """Every limit has a name of its own, a positive default and words."""
    assert len(set(NAMES)) == len(NAMES)
    for entry in LIMITS:
        assert entry.default >= 1
        assert entry.unit
        assert entry.guards


def test_the_variable_changes_what_it_names(monkeypatch):
    """Powers of ten and decimals that are whole are numbers; other limits stay."""
    monkeypatch.setenv(VARIABLE, "layers=12, trace_rows=1e9 ,chips=1.5e3,")
    with pytest.raises(InputError):
        limit("layers")
    monkeypatch.setenv(VARIABLE, " layers = 12, trace_rows=1e9,chips=1.50e1")
    assert (limit("layers"), limit("trace_rows"), limit("chips")) == (12, 10**9, 15)
    monkeypatch.delenv(VARIABLE)
    assert limit("layers") == next(entry.default for entry in LIMITS if entry.name == "layers")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layer=12", "did you mean 'layers'?"),
        ("layers", "not a whole number of at least 1"),
        ("layers=0", "not a whole number of at least 1"),
        ("layers=-1", "not a whole number of at least 1"),
        ("layers=1.5", "not a whole number of at least 1"),
        ("layers=1e999", "not a whole number of at least 1"),
        ("layers=nan", "not a whole number of at least 1"),
        ("layers=" + "9" * 60_000 + "x", "not a whole number of at least 1"),
        ("layers=2,layers=2", "given twice"),
        ("step_s=1000001", "more than can be simulated (at most step_s=1000000)"),
        ("\x1b[31m=2", "there is no limit '\\x1b[31m'"),
    ],
)
def test_what_the_variable_may_not_say(monkeypatch, text, words):
    """The error names the variable, what was given and what is allowed."""
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(InputError) as caught:
        limit("chips")
    assert words in str(caught.value)
    assert VARIABLE in str(caught.value)
    assert len(str(caught.value)) < 500


def test_every_mistake_of_the_variable_at_once(monkeypatch):
    """Two wrong parts are two problems."""
    monkeypatch.setenv(VARIABLE, "layer=1,chips=x")
    with pytest.raises(InputError) as caught:
        limit("chips")
    assert len(caught.value.problems) == 2


@given(st.sampled_from(NAMES), st.integers(1, 10**4000), st.booleans())
def test_what_is_over_is_told(name, more, as_float):
    """At the limit is allowed; above it the words hold what is needed, where that can be set."""
    allowed = limit(name)
    assert over_limit(name, allowed, "this") is None
    above = float("inf") if as_float else allowed + more
    problem = over_limit(name, above, "this", field="model.x")
    assert problem is not None
    assert raised(name, above) in problem.suggestion
    assert len(str(problem)) < 300


@given(st.sampled_from(LIMITS), st.integers(1, 10**99) | st.floats(1, 1e20))
def test_what_is_advised_allows_it(entry, needed):
    """The setting is typed as it is printed, and then nothing is wrong with the number."""
    setting = raised(entry.name, needed)
    if entry.farthest is not None and needed > entry.farthest:
        assert setting == ""
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(*setting.split("=", maxsplit=1))
        assert over_limit(entry.name, needed) is None


def test_refused_with_the_way_out():
    """The error says the limit, what was given, what is allowed and how to raise it."""
    with pytest.raises(InputError) as caught:
        refuse_over("layers", 10**9, "num_hidden_layers", place="my.yaml")
    assert str(caught.value) == (
        "my.yaml: num_hidden_layers: 1,000,000,000 layers, more than the limit of 2,000 "
        "(is a digit or a unit wrong? if not, raise it: RACK_SIM_LIMITS=layers=1000000000)"
    )
