"""Draw: one pen for each kind of paper; each draws any chart of `report.chart`.

- `matplotlib`: PNG and SVG figures
- `plotly`: charts of a page
- `excel`: native charts of a workbook, with their numbers beside them
"""
