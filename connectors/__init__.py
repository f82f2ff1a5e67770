"""The ways in (doors) and the ways into stores (sinks)."""
