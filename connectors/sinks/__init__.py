"""The ways into stores, one technology a file, behind one contract."""
