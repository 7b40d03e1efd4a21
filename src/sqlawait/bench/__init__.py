"""Is async worth it, measured here."""
