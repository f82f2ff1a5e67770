"""The embedded ClickHouse: its engine (chDB) behind the part of ClickHouse's HTTP interface that its clients speak."""
