"""A Pydantic schema and a mapper make a plan, a plan makes SQL that returns JSON."""

from sqlawait.shape.loading import load_for
from sqlawait.shape.reads import Explanation, ShapedReads

__all__ = ["Explanation", "ShapedReads", "load_for"]
