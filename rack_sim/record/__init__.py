"""Record: what a command leaves behind, as one object, and the directory that holds it.

- `record`, `table`: the object, and the tables in it; `of_run`: that of a replay
- `kinds`: the list of kinds, and how a directory of each is told and read
- `store`: a record goes into a directory, and comes back; `csv`, `parquet`: its tables as files
- `manifest`: manifest.json: what it says, and whether files are as they were
- `garbled`: what in a table can never have been written
- `directory`, `place`, `claim`, `renames`: where files go, all of them or none
- `footprint`: what replicas take of racks
- `columns_reference`: the documentation of every column
"""
