"""Charts: what each kind of record is drawn as; `report.draw` draws them."""
