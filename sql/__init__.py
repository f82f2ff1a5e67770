"""All SQL, in files."""
