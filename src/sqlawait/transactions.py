"""Run a function as one transaction: retry, deadline, commit-unknown."""
