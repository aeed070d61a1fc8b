"""The form of a file: what is no scenario at all, and what YAML would silently misread."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from rack_sim.foundation.errors import InputError
from rack_sim.scenario import Scenario, load_scenario

Said = Callable[..., list[str]]
Load = Callable[..., Scenario]


def test_missing_file_and_unknown_preset() -> None:
    for name, message in [
        ("nowhere.yaml", "nowhere.yaml: no such file"),
        ("a/b", "a/b: no such file"),
        ("llama70bb", "no scenario is called 'llama70bb' (did you mean 'llama70b'?)"),
        ("zzz", "no scenario is called 'zzz' (allowed: llama70b, llama70b-a100, llama70b-azure"),
    ]:
        with pytest.raises(InputError) as caught:
            load_scenario(name)
        assert str(caught.value).startswith(message)


def test_directory() -> None:
    with pytest.raises(InputError, match="is a directory, a file is needed"):
        load_scenario(".")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(here: Path) -> None:
    Path("p.yaml").write_text("name: a")
    Path("p.yaml").chmod(0)
    with pytest.raises(InputError, match=r"p.yaml: cannot be read: Permission denied"):
        load_scenario("p.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "p.yaml:1:1: is empty"),
        (b"# nothing\n\n", "p.yaml:1:1: is empty"),
        (b"\x89PNG\r\n\x1a\n\x00", "p.yaml:1:1: is not UTF-8 text (byte 0)"),
        (b"name: a\x00b", "p.yaml:1:8: character U+0000 cannot stand here"),
        (b"name: \xe9t\xe9\n", "p.yaml:1:7: is not UTF-8 text (byte 6)"),
        (b"hello", "p.yaml:1:1: must be a mapping of keys to values"),
        (b"- a\n- b\n", "p.yaml:1:1: must be a mapping of keys to values"),
        (b"a: 1\n---\nb: 2\n", "p.yaml:2:1: but found another document"),
        (b"a:\n\tb: 1\n", "p.yaml:2:1: found character '\\t'"),
        (b"a: {b: 1\n", "p.yaml:2:1: expected ',' or '}'"),
        (b"a: b: c\n", "p.yaml:1:5: mapping values are not allowed here"),
        (b"a: %b\n", "p.yaml:1:4: found character '%'"),
        (b"a: *b\n", "p.yaml:1:4: found undefined alias 'b'"),
        (b"[a]: 1\n", "p.yaml:1:1: a key must be a word"),
        (b"x: &x {a: 1}\ny: {<<: *x}\n", "p.yaml:2:5: merge keys are not supported"),
        (b"a: !!python/object/apply:os.system ['true']\n", "p.yaml:1:4: tag '"),
        (b"a: !!int abc\n", "p.yaml:1:4: tag 'tag:yaml.org,2002:int' is not supported"),
        (b"a: !!omap {b: 1}\n", "p.yaml:1:4: tag 'tag:yaml.org,2002:omap' is not supported"),
        (b"a: !mine 5\n", "p.yaml:1:4: tag '!mine' is not supported"),
        (
            b"a: " + b"9" * 5000 + b"\n",
            "p.yaml:1:4: a number: 5,000 digits, more than the limit of 1,000",
        ),
    ],
)
def test_no_scenario(said_of_file: Said, content: bytes, message: str) -> None:
    (problem,) = said_of_file(content)
    assert problem.startswith(message)


@pytest.mark.parametrize(
    "content",
    [
        "a: " + "[" * 110 + "]" * 110,
        "a: " + "[" * 20_000 + "]" * 20_000,
        "a: " + "{b: " * 3000 + "1" + "}" * 3000,
        "".join(" " * depth + "a:\n" for depth in range(1500)),
        "a: &a {b: *a}",
    ],
)
def test_deep_nesting_is_refused(said_of_file: Said, content: str) -> None:
    (problem,) = said_of_file(content)
    assert "is nested deeper than 100 levels" in problem
    assert problem.startswith("p.yaml:")


@pytest.mark.parametrize(
    "content",
    [
        "a: &a [*a, *a]\n",
        "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)),
    ],
)
def test_aliases_that_explode_do_not_hang(
    said_of_file: Said, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RACK_SIM_LIMITS", "document_values=50000")
    (problem,) = said_of_file(content)
    assert problem.startswith("p.yaml:1:")
    assert "the file, aliases written out: 50,001 values, more than the limit of 50,000" in problem


def test_duplicate_keys_are_all_told(said: Said) -> None:
    change = ("  max_context_tokens: 1024\n", "  max_context_tokens: 1024\n  slot_rows: 1\n" * 2)
    assert said(change) == [
        "p.yaml:9:3: key 'max_context_tokens' is given twice (first on line 7)",
        "p.yaml:10:3: key 'slot_rows' is given twice (first on line 8)",
    ]
    assert said("seed: 2\n") == ["p.yaml:15:1: key 'seed' is given twice (first on line 14)"]


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "Off", "y", "NO", "2024-01-01"])
def test_words_stay_words(load: Load, word: str) -> None:
    """What YAML 1.1 turns into true, false or a date; Norway is one of them."""
    assert load(("name: small", f"name: {word}")).name == word


@pytest.mark.parametrize("word", ["yes", "on", "no", "True"])
def test_words_are_no_flags(said: Said, word: str) -> None:
    trace = f"{{kind: trace, path: t.csv, skip_bad_rows: {word}}}"
    (problem,) = said("", f"workload={trace}")
    assert problem.endswith(f"workload.skip_bad_rows: {word!r} is not true or false")


def test_numbers_are_no_words(said: Said) -> None:
    for given, shown in [("123", "123"), ("1.5", "1.5"), ("1e5", "100000"), ("~", "None")]:
        assert said(("name: small", f"name: {given}")) == [
            f"p.yaml:1:1: name: {shown} is not a word"
        ]


@pytest.mark.parametrize(
    ("text", "count"),
    [("010", 10), ("1_000", 1000), ("1e3", 1000), ("1E+3", 1000), ("+5", 5), ("1e9", 10**9)],
)
def test_counts_as_people_write_them(load: Load, text: str, count: int) -> None:
    scenario = load(("request_count: 50", f"request_count: {text}"))
    assert scenario.resolved["workload"]["request_count"] == count


@pytest.mark.parametrize("text", ["0x1F", "0b11", "0o17", "12:30", "2024-01-01", "1,000", "5%"])
def test_what_is_no_number(said: Said, text: str) -> None:
    """Sexagesimals, dates and other bases are words here, so they are refused as counts."""
    assert said(("request_count: 50", f"request_count: {text}")) == [
        f"p.yaml:13:3: workload.request_count: {text!r} is not a whole number"
    ]


def test_anchors_are_copies(load: Load) -> None:
    """An alias repeats a value; changing the one with --set leaves the other."""
    text = "cost:\n  amortisation_years: &a {value: 3, assumed: x}\n  system_price_factor: *a\n"
    cost = load(text, "cost.system_price_factor.value=2").cost
    assert (cost.amortisation_years, cost.system_price_factor) == (3, 2)


def test_byte_order_mark_and_json(load: Load, small: str) -> None:
    import json

    expected = load().scenario_hash
    Path("bom.yaml").write_text("\ufeff" + small, encoding="utf-8")
    assert load_scenario("bom.yaml").scenario_hash == expected
    tree = {key: value for key, value in load().resolved.items() if key != "description"}
    Path("p.json").write_text(json.dumps(tree, indent=1), encoding="utf-8")
    assert load_scenario("p.json").scenario_hash == expected


def test_an_emoji_in_json_is_one_character(load: Load, small: str) -> None:
    """JSON escapes what is beyond 16 bits as two halves."""
    named = 'model: {preset: llama-2-7b, name: "Llama \\ud83d\\ude00"}'
    assert load((small, small.replace("model: llama-2-7b", named))).deployment.model.name == (
        "Llama \U0001f600"
    )


@pytest.mark.parametrize("half", ["\\ud83d", "\\ude00", "\\ude00\\ud83d", "\\ud83dx"])
def test_half_a_character_is_refused_where_it_stands(said: Said, half: str) -> None:
    (problem,) = said(f'description: "{half}"\n')
    assert problem == "p.yaml:15:14: half a pair of surrogates is no character"


def test_json_may_be_indented_with_tabs(load: Load, small: str) -> None:
    keys = yaml.safe_load(small)
    assert load((small, json.dumps(keys, indent="\t"))).resolved == load().resolved


@pytest.mark.parametrize(
    "text",
    [
        "9" * 100_000 + "x",
        "1_" * 50_000 + "x",
        "1" + "_" * 100_000 + "x",
        "." + "1" * 100_000 + "e",
    ],
    ids=["digits", "pairs", "underscores", "decimals"],
)
def test_what_looks_like_a_number_for_long_is_read_in_one_go(said: Said, text: str) -> None:
    """A pattern that tries a text in many ways would take hours, not a moment."""
    with pytest.raises(InputError):
        load_scenario("llama70b", [f"seed={text}"])


def test_an_escape_that_names_no_character(said: Said) -> None:
    (problem,) = said('description: "\\UFFFFFFFF"\n')
    assert problem.startswith("p.yaml:15:")
