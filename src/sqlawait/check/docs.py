"""The page of a rule, made from its declaration."""

from __future__ import annotations

from .registry import RULES
from .rule import Rule

_FIXES = {
    "safe": "A fix is available with `--fix`.",
    "unsafe": "A fix is available with `--fix --unsafe-fixes`: look at what it changes.",
    None: "There is no automatic fix.",
}


def page(rule: Rule) -> str:
    """The page of one rule, in Markdown."""
    parts = [
        f"# {rule.name} ({rule.code})",
        rule.summary,
        _FIXES[rule.fix] + ("" if rule.default else " The rule is off by default."),
        f"## Why this is bad\n{rule.why}",
        f"## What to do\n{rule.remedy}",
        "## Wrong\n" + "\n\n".join(_block(each.code) for each in rule.wrong),
    ]
    fixed = [each.fixed for each in rule.wrong if each.fixed]
    if fixed:
        parts.append("## After the fix\n" + "\n\n".join(_block(_unmarked(text, rule.code)) for text in fixed))
    parts.append("## Right\n" + "\n\n".join(_block(each.code) for each in rule.right))
    if rule.limits:
        parts.append(f"## Known limits\n{rule.limits}")
    parts.append(
        f"## Silence it\n`# noqa: {rule.code}` on the line, or `ignore` and `per-file-ignores` in"
        f" `[tool.sqlawait]`."
    )
    return "\n\n".join(parts) + "\n"


def index() -> str:
    """The table of all rules, in Markdown."""
    rows = [
        f"| {rule.code} | [{rule.name}]({rule.name}.md) | {rule.summary} | {_mark(rule)} |"
        for rule in RULES.values()
    ]
    head = (
        "# Rules\n\nMade from the rules' declarations by `python -m sqlawait.check.docs docs/rules`."
        " ✔ safe fix, ~ unsafe fix, ○ off by default.\n\n| code | name | finds | |\n| --- | --- | --- | --- |\n"
    )
    return head + "\n".join(rows) + "\n"


def pages() -> dict[str, str]:
    """Every page by its file name."""
    return {"README.md": index(), **{f"{rule.name}.md": page(rule) for rule in RULES.values()}}


def _mark(rule: Rule) -> str:
    return {"safe": "✔", "unsafe": "~", None: ""}[rule.fix] + ("" if rule.default else "○")


def _block(code: str) -> str:
    return f"```python\n{code.strip()}\n```"


def _unmarked(code: str, name: str) -> str:
    return code.replace(f"  # {name}", "")


if __name__ == "__main__":
    import sys
    from pathlib import Path

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


__all__ = ["index", "page", "pages"]
