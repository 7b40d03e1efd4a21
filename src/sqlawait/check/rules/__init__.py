"""The rules, one a file; each file is named for what its rule finds."""
