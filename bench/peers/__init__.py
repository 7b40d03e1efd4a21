"""Other ways of serving the same API, for comparison. Not part of the package: they need what it does not."""
