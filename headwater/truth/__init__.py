"""The plain reference, and random logs to hold the pipeline against it."""
