"""Metrics: what is reported, and how each number is defined.

- `columns`: every column of every file: unit and definition; `load_columns`: those of a load study;
  `sizing_columns`: those of a sizing; `column`: what they are made of
- `log`: what the engine reported, in columns of integers
- `latency`: TTFT, TPOT and the rest, per request
- `quantiles`: exact percentiles of any number of values
- `summary`: one flat row per run
- `tables`: requests, chips, links, stages, memory, timeline as rows
- `critical_path`: the chain of tasks that makes a token take as long as it does
- `slo`, `cost`: objectives; watts and dollars; `capacity`: what serving a rate takes and costs
- `formula`: arithmetic over named quantities, which Python calculates and a sheet writes
"""
