"""Fixtures and checks for the tests of applications."""
