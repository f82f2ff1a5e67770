"""Analysts' SQL: sessions of the SQL Gateway, the console, metrics and patterns as files that are deployed."""
