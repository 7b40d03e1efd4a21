"""The fair pool: first come, first served."""
