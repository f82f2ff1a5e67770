"""One file, one Flink job."""
