"""A whole recorded trace: every request accounted for, and Little's law, from the files alone.

The trace is not part of the project. It is looked for in $RACK_SIM_TRACES, then beside the
repository.
"""

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

Cli = Callable[..., tuple[int, str, str]]
BESIDE = Path(__file__).resolve().parents[4] / "shared" / "traces"
NAME = "AzureLLMInferenceTrace_conv.csv"


@pytest.fixture
def recorded() -> Path:
    given = os.environ.get("RACK_SIM_TRACES")
    path = (Path(given) if given else BESIDE) / NAME
    if not path.is_file():
        pytest.skip(f"{NAME} is neither in $RACK_SIM_TRACES nor in ../shared/traces")
    return path


@pytest.mark.slow
def test_azure_conversation(
    cli: Cli, recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("run", "llama70b-azure", "--trace", recorded, "--no-figures", "--out", "out")
    code, out, err = cli(*arguments, "--json")
    assert (code, err) == (0, "")
    summary = json.loads(out)
    requests = pd.read_csv("out/requests.csv")
    timeline = pd.read_csv("out/timeline.csv")
    trace = pd.read_csv(recorded)
    machine = json.loads(cli("explain", "llama70b", "--json")[1])

    # Everything that was recorded arrives, and ends one way or the other.
    assert len(requests) == len(trace) == summary["request_count"] == 19_366
    assert requests["input_tokens"].tolist() == trace["ContextTokens"].tolist()
    assert requests["output_tokens"].tolist() == trace["GeneratedTokens"].tolist()
    times = [datetime.fromisoformat(text[:26]) for text in trace["TIMESTAMP"]]
    since_first = [(time - times[0]).total_seconds() * 1e3 for time in times]
    assert np.abs(requests["arrival_ms"] - since_first).max() < 1e-2  # its last digit is 1e-4 ms
    finished = requests[requests["status"] == "finished"]
    rejected = requests[requests["status"] == "rejected"]
    assert len(finished) + len(rejected) == len(requests)
    assert (len(finished), len(rejected)) == (summary["finished_count"], summary["rejected_count"])
    assert summary["unserved_count"] == 0
    assert rejected["reason"].str.contains("exceed the longest context of 4096").all()
    assert (rejected["input_tokens"] + rejected["output_tokens"] > 4096).all()
    assert (finished["input_tokens"] + finished["output_tokens"] <= 4096).all()
    assert summary["output_token_count"] == finished["output_tokens"].sum()
    assert timeline["output_tokens"].sum() == finished["output_tokens"].sum()
    assert timeline["prompt_tokens"].sum() == finished["input_tokens"].sum()

    # One prompt row enters per interval at most, and the last one passes the whole pipeline; the
    # token is sampled before its way back to the first stage.
    assert machine["slot_rows"] == 1
    way_back_ms = pd.read_csv("out/stages.csv")["transfer_ms"].iloc[-1]
    prefill_ps = (finished["input_tokens"] - 1) * machine["interval_ps"]
    prefill_ps += machine["latency_ps"] - way_back_ms * 1e9
    over_ms = finished["ttft_ms"] - prefill_ps / 1e9
    assert over_ms.min() >= -1e-6
    assert over_ms.min() < machine["interval_ps"] / 1e9, "a request on an idle machine meets it"
    # A sequence gets a token per revolution, whatever its neighbours do.
    assert np.allclose(finished["tpot_ms"].dropna(), machine["revolution_ps"] / 1e9, rtol=1e-9)

    # Little's law over the steady window [start, end) of length T. The time that requests spend in
    # it is T x the mean number in the system. The time in the system of those that arrive in it
    # differs from that by what requests present at the start spend after it (at most N(start) x
    # the longest stay) and by what those present at the end spend beyond it (at most N(end) x the
    # longest stay); the two have opposite signs. Hence
    #   |N - rate x stay| <= max(N(start), N(end)) x longest / T.
    assert summary["window_kind"] == "steady"
    start = summary["window_start_s"]
    span = summary["window_s"]
    end = start + span
    inside = timeline[(timeline["start_s"] >= start) & (timeline["start_s"] < end)]
    mean_in_system = (inside["waiting_mean"] + inside["running_mean"]).mean()
    arrival_s = finished["arrival_ms"] / 1e3
    finish_s = finished["finish_ms"] / 1e3
    stay_s = finished["e2el_ms"] / 1e3
    came = (arrival_s >= start) & (arrival_s < end)
    rate, stay = came.sum() / span, stay_s[came].mean()
    present = [int(((arrival_s < edge) & (finish_s > edge)).sum()) for edge in (start, end)]
    tolerance = max(present) * stay_s.max() / span
    assert tolerance < 0.02 * mean_in_system, "the window is long enough to say something"
    assert abs(mean_in_system - rate * stay) <= tolerance
    # And exactly: the time that each request spends inside the window.
    overlap = (finish_s.clip(upper=end) - arrival_s.clip(lower=start)).clip(lower=0).sum()
    assert mean_in_system * span == pytest.approx(overlap, rel=1e-7)
