"""A Pydantic schema and a mapper make a plan, a plan makes SQL that returns JSON."""
