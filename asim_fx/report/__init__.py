"""The report of a mapping: built from plans, shown as a table, JSON, CSV, Markdown or HTML. No torch."""
