"""The API: doors onto the finished state."""
