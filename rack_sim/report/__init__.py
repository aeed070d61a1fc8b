"""Report: what a run leaves behind for people and spreadsheets.

- `views`: everything that a result leaves in its directory
- `story`, `kinds`: how each kind of record is told
- `chart`: a drawing as data; `charts`: what each kind of record is drawn as; `draw`: a pen for each
  kind of paper; `colours`, `numbers`: what things look like, and how numbers are written
- `figures`: PNG and SVG, and the drawings of a run
- `html`: report.html, a page made of a record
- `workbook`, `sheets`: report.xlsx made of it
- `text`: what a terminal says of it
- `comparison`, `swings`, `sizing_tables`, `sizing_words`: what reports tell of those records
- `validation_figure`: predicted against measured, of docs/validation.md
- `timeline`, `trace_events`: a trace that ui.perfetto.dev shows
- `example`: the run in reports/example
"""
