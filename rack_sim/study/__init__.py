"""Study: questions that take more than one run.

- `calibration`: the one fitted constant of the LPU
- `collective_sweep`: one operation on one group of chips, over some sizes
- `compare`, `judged`, `difference`: scenarios and finished runs side by side
- `jitter`: what a machine loses when operators do not take the time that was compiled
- `grid`, `grid_point`, `grid_titles`: every combination of some values; `journal`: its rows, to go
  on from; `code_state`: which code has made them
- `kinds`: which function runs a study of which kind; `options`: how; `study_result`: what all give
- `load`, `load_row`, `knee`: where a machine saturates at a rising rate
- `sensitivity`, `inputs`: what each input of cost and machine does to cost and speed
- `mapping`: every way to cut a model over chips
- `model_needs`: a model alone, and what it needs on every system preset
- `sizing`: the smallest system that meets objectives
- `topologies`: the networks of all system presets side by side
- `measurements`: a table of what was measured; `machines`, `setups`: how a row of it is run
- `predictions`: every row replayed; `fitting`, `fits`: constants of chips fitted on rows
- `validation`: predictions beside published measurements; `lpu_validation`: the LPU's own page
- `reference_tables`: an article's figures beside ours
- `pages`: documentation that is written from numbers
"""
