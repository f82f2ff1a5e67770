"""Reads the stores; the doors of the API stand on it."""
