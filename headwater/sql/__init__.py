"""Analysts' SQL: sessions of the SQL Gateway, the console, and metrics as files that are tested and deployed."""
