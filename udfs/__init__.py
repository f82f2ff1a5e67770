"""Plain functions first, thin Flink wrappers last."""
