"""What changed, and which part of a mean latency changed most."""

from rack_sim.study.difference import RunChange, causes, headlines


def changed(**values: tuple[object, object]) -> tuple[RunChange, ...]:
    return tuple(RunChange("output", key, *pair) for key, pair in values.items())


def test_the_part_that_grew_most_is_the_cause():
    """200 ms more in all: 150 of waiting, 60 of prefill, 10 less of the way to the token."""
    found = changed(
        ttft_ms_mean=(100.0, 300.0),
        ttft_admission_ms_mean=(10.0, 160.0),
        ttft_prefill_ms_mean=(60.0, 120.0),
        ttft_pass_ms_mean=(30.0, 20.0),
    )
    (said,) = causes(found)
    assert said == "the mean TTFT changes by +200 ms; +150 ms of it is waiting to be let in"
    assert headlines(found)[-1] == said


def test_what_moves_the_other_way_explains_nothing():
    """The mean falls by 5 although one part rises by 20: the cause is one that fell."""
    found = changed(
        itl_ms_mean=(30.0, 25.0),
        tpot_compute_ms=(5.0, 25.0),
        tpot_memory_ms=(20.0, 0.0),
        tpot_link_latency_ms=(5.0, 0.0),
        tpot_ms_mean=(30.0, 25.0),
    )
    assert causes(found) == [
        "the mean gap between tokens changes by -5 ms; -20 ms of it is memory bandwidth"
    ]


def test_nothing_is_said_of_what_stayed_or_is_not_known():
    assert causes(()) == []
    assert causes(changed(ttft_prefill_ms_mean=(1.0, 2.0))) == []
    assert causes(changed(ttft_ms_mean=(None, 2.0), ttft_prefill_ms_mean=(1.0, 2.0))) == []
    assert causes((RunChange("input", "ttft_ms_mean", 1.0, 2.0),)) == []
