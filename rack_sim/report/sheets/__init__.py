"""Sheets: the pages of report.xlsx, each made of the files of a run, a study or a sizing.

- `sheet`: cells, styles, widths, print set-up; no text is ever a formula
- `table`: rows of files, lists and numbers under a header that stays in view
- `overview`, `inputs`, `definitions`: the answer, what went in, what words mean
- `machine`, `traffic`, `cost`: chips, memory and links; requests and time; energy and money
- `capacity`, `capacity_facts`: cells a planner changes, and what the formulas start from;
  `formula_text`: formulas as a spreadsheet writes them
- `study`, `spread`, `load`: the tables of a study, between what its numbers lie, what a machine
  bears; `sizing`, `sizing_capacity`: answers and candidates of a sizing
- `comparison`, `sensitivity`: runs side by side; what moves the cost

Charts are drawn by `report.draw.excel`.
"""
