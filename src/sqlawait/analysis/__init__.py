"""Reads a code base without running it."""
