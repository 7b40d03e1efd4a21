"""The linter: where the event loop is blocked and where async SQLAlchemy is misused.

A rule is one file of :mod:`sqlawait.check.rules`, with one declaration that drives its tests, its page and its
fix.
"""

from .engine import Report, check_paths
from .finding import Edit, Finding, Fix
from .registry import RULES, find_rule
from .rule import Example, Rule

__all__ = ["RULES", "Edit", "Example", "Finding", "Fix", "Report", "Rule", "check_paths", "find_rule"]
