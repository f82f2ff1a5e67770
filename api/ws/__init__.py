"""WebSocket."""
