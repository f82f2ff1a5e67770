"""Rings: unit, flink, integration, e2e, house."""
