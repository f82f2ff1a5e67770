"""The ways in, one protocol a file, over one core."""
