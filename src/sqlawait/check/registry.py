"""All rules, by code and by name."""

from __future__ import annotations

import importlib
import pkgutil

from . import rules
from .rule import Rule


def _load() -> dict[str, Rule]:
    names = (each.name for each in pkgutil.iter_modules(rules.__path__))
    found: list[Rule] = [importlib.import_module(f"{rules.__name__}.{name}").RULE for name in names]
    return {rule.code: rule for rule in sorted(found, key=lambda rule: rule.code)}


RULES: dict[str, Rule] = _load()


def find_rule(name: str) -> Rule | None:
    """The rule of a code or a name, however its letters are cased."""
    return RULES.get(name.upper()) or next((r for r in RULES.values() if r.name == name.lower()), None)


def expand(selector: str) -> set[str]:
    """The codes that a selector names: a code, the beginning of one, a rule's name, or ``ALL``."""
    wanted = selector.strip()
    if wanted.upper() == "ALL":
        return set(RULES)
    codes = {code for code in RULES if code.startswith(wanted.upper())} if wanted else set()
    named = find_rule(wanted)
    return codes | ({named.code} if named is not None else set())


__all__ = ["RULES", "expand", "find_rule"]
