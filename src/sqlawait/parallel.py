"""Independent queries at once, on one snapshot."""
