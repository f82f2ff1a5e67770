"""The one-machine stack: which programs, in which order, how each is ready."""
