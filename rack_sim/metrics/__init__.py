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
- `grid_columns`, `compare_columns`: those of grids, comparisons and sensitivities
- `cost_row`: energy and money as columns of a summary; `work`: what chips were busy with
- `gaps`, `token_split`: the times between tokens, and where they went
- `link_table`, `cells`, `text_columns`: lines and cells of tables; `frames`: tables of pandas
- `column_log`, `parts`: rows on disk, and those of replicas that were replayed apart
- `words`: what terms, phases, metrics, statuses and goals are called
- `checker`: what every summary must be
"""
