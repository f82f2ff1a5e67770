"""Processes beside Flink that are neither door nor sink."""
