"""The nouns: readings, packs, aggregates, topics, stores, settings, errors."""
