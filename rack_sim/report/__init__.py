"""Report: what a run leaves behind for people and spreadsheets.

- `csv`: the dialect; no cell is ever a formula
- `run_directory`: all files of a run, or none; `place`: where, and what stands there; `claim`: held
  while it is written; `renames`: in one step
- `run_files`: which files there are
- `study_files`: what a study leaves behind; `jitter_tables`, `jitter_figure`, `load_tables`,
  `load_figures`: of which kind
- `run_tables`: a finished run read back; `workbook`, `sheets`: report.xlsx made of it
- `footprint`: how racks fill, as manifest.json has it
- `sizing_files`, `sizing_manifest`, `sizing_figure`: what `rack-sim size` leaves behind;
  `sizing_tables`, `sizing_words`: what its reports read and say
- `figures`: PNG and SVG
- `html`: report.html, a page made of the files of a run, study, comparison or sizing
- `timeline`, `trace_events`: a trace that ui.perfetto.dev shows
"""
