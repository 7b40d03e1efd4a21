"""Blocking code in bounded threads, with sync sessions on the same database."""
