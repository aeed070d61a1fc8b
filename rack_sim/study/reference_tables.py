"""Reference tables: the tables of an article on the LPU, published figures beside ours.

The scenarios are `scenarios/article/*.yaml`; the figures and what was found about them stand in
CSV files beside them. `docs/reference-tables.md` is written from here.
"""

import csv
from pathlib import Path

from rack_sim.foundation.errors import InfeasibleError
from rack_sim.pipeline import simulate
from rack_sim.scenario import load_scenario
from rack_sim.scenario.library import data_root
from rack_sim.study.pages import page

_TITLES = {
    "3": "Table 3: speed on the LPU",
    "4": "Table 4: Mixtral 8x7B",
    "8": "Table 8: Llama-3.1 70B",
}
_PRICES = {"5": "Table 5: prices of chips", "6": "Table 6: prices of an API"}
# What the article says beyond speeds, and what sources say.
_ERRORS = (
    ("Table 7: the WSE-3 has 850 GB on chip", "44 GB; 850,000 is the core count of the WSE-2"),
    (
        "Table 9: Cerebras 40 GB, 20 TB/s, 7 nm",
        "the WSE-2, a thousand times too slow: 20 PB/s. The WSE-3 has 44 GB, 21 PB/s, 5 nm",
    ),
    (
        "Table 8: 280 to 420 and 220 tokens/s on 8 H100 and 8 A100",
        "Mixtral's figures; a Llama 70B at batch 1 is several times slower",
    ),
    ("Table 8: 4 wafers are 336 chips", "4 x 84 reticle fields: die sites, not chips"),
    ("Table 8: TTFT of 0.17 to 0.30 s", "no source found; unloaded systems answer sooner"),
    ("80 TB/s of SRAM", "a product sheet's; the papers have 55 TiB/s, and streams carry 18.4 TB/s"),
    ("SN40L with 2.3 TB/s", "not found; 1.6 (Hot Chips 2024) or about 2 TB/s"),
    ("HBM of GPUs at 2 to 3 TB/s", "A100 2.04, H100 3.35, H200 4.8, MI300X 5.3, B200 8"),
)


def article_folder() -> Path:
    """Where the scenarios and figures are."""
    return data_root() / "scenarios" / "article"


def reference_tables_markdown() -> str:
    """The text of docs/reference-tables.md."""
    rows = _read("published.csv")
    ours = {name: _ours(name) for name in dict.fromkeys(row["scenario"] for row in rows)}
    tables = "\n\n".join(
        f"## {title}\n\n"
        "| what | published, tokens/s | ours, tokens/s per user | published TTFT, s | ours, s | "
        "chips that hold it | scenario | of the published figure |\n"
        "|---|---|---:|---|---:|---:|---|---|\n"
        + "\n".join(
            f"| {row['row']} | {row['published_tok_s']} | {ours[row['scenario']][0]} | "
            f"{row['published_ttft_s']} | {ours[row['scenario']][1]} | {ours[row['scenario']][2]} "
            f"| `{row['scenario']}` | {row['finding']} |"
            for row in rows
            if row["table"] == number
        )
        for number, title in _TITLES.items()
    )
    prices = "\n\n".join(
        f"## {title}\n\n| what | article | found | source |\n|---|---|---|---|\n"
        + "\n".join(
            f"| {row['what']} | {row['published']} | {row['finding']} | {row['source']} |"
            for row in _read("prices.csv")
            if row["table"] == number
        )
        for number, title in _PRICES.items()
    )
    errors = "\n".join(f"| {claim} | {finding} |" for claim, finding in _ERRORS)
    return page("reference-tables.md", tables=tables, prices=prices, errors=errors)


def _ours(name: str) -> tuple[str, str, str]:
    """Tokens per second of a user, seconds to the first, and chips."""
    try:
        summary = simulate(load_scenario(article_folder() / f"{name}.yaml")).summary
    except InfeasibleError as error:
        return f"does not fit: {str(error).splitlines()[0]}", "", ""
    tpot_ms, ttft_ms = summary["tpot_ms_mean"], summary["ttft_ms_mean"]
    assert isinstance(tpot_ms, float | int)
    assert isinstance(ttft_ms, float | int)
    return f"{1000 / tpot_ms:.0f}", f"{ttft_ms / 1000:.3f}", str(summary["chip_count"])


def _read(name: str) -> list[dict[str, str]]:
    with (article_folder() / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
