"""The raw store: every reading once, in ClickHouse."""
