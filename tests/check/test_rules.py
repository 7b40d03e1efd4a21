"""Every rule against its own declaration: what it finds, what it leaves alone, what its fix makes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from sqlawait.check import RULES, Finding, Rule, check_paths
from sqlawait.check.fixing import fixed_texts
from sqlawait.check.settings import Settings

SAMPLE = Path(__file__).parents[2] / "src" / "sqlawait" / "check" / "sample.stub"
HEAD = "from sample import *\n"
WRONG = [(rule, number) for rule in RULES.values() for number in range(len(rule.wrong))]
RIGHT = [(rule, number) for rule in RULES.values() for number in range(len(rule.right))]
FIXED = [(rule, number) for rule, number in WRONG if rule.wrong[number].fixed]


def label(value: object) -> str:
    """The name of a case."""
    return value.name if isinstance(value, Rule) else str(value)


def findings(folder: Path, rule: Rule, code: str) -> list[Finding]:
    """What a rule finds in an example."""
    (folder / "sample.py").write_text(SAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "example.py").write_text(HEAD + code, encoding="utf-8")
    report = check_paths([folder], Settings(codes=frozenset({rule.code})))
    assert report.broken == ()
    return [each for each in report.findings if each.path.name == "example.py"]


@pytest.mark.parametrize(("rule", "number"), WRONG, ids=label)
def test_a_rule_finds_what_its_declaration_calls_wrong(rule: Rule, number: int, tmp_path: Path) -> None:
    """A finding stands on every line that the example marks, and on no other."""
    code = rule.wrong[number].code
    marked = [line for line, text in enumerate((HEAD + code).splitlines(), start=1) if f"# {rule.code}" in text]
    assert marked, "the example marks no line"
    assert [each.start[0] for each in findings(tmp_path, rule, code)] == marked


@pytest.mark.parametrize(("rule", "number"), RIGHT, ids=label)
def test_a_rule_leaves_alone_what_its_declaration_calls_right(rule: Rule, number: int, tmp_path: Path) -> None:
    """Nothing is found in an example of what to do instead."""
    assert findings(tmp_path, rule, rule.right[number].code) == []


@pytest.mark.parametrize(("rule", "number"), FIXED, ids=label)
def test_a_fix_makes_what_the_declaration_says_and_silences_the_rule(
    rule: Rule, number: int, tmp_path: Path
) -> None:
    """The fixed example is the declared one, parses, and is found nothing in any more."""
    example = rule.wrong[number]
    found = findings(tmp_path, rule, example.code)
    texts, count = fixed_texts(found, unsafe=True)
    assert count == len(found)
    text = texts[(tmp_path / "example.py").resolve()]
    ast.parse(text)
    assert text == HEAD + example.fixed
    assert findings(tmp_path, rule, example.fixed) == []


@pytest.mark.parametrize("rule", RULES.values(), ids=label)
def test_a_rule_says_truly_whether_it_fixes(rule: Rule, tmp_path: Path) -> None:
    """The declared kind of fix is the kind that findings carry; a rule without one never carries any."""
    kinds = {
        "safe" if each.fix.safe else "unsafe"
        for example in rule.wrong
        for each in findings(tmp_path, rule, example.code)
        if each.fix is not None
    }
    assert kinds == ({rule.fix} if rule.fix else set())


def test_a_rule_is_named_for_its_file() -> None:
    """The file, the name and the page of a rule are one."""
    folder = Path(__file__).parents[2] / "src" / "sqlawait" / "check" / "rules"
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {rule.name.replace("-", "_") for rule in RULES.values()} == files
    assert all(rule.url.endswith(f"/{rule.name}.md") for rule in RULES.values())


def test_codes_and_names_are_unique() -> None:
    """No two rules share a code or a name."""
    assert len({rule.name for rule in RULES.values()}) == len(RULES) == 27
    assert all(code == rule.code for code, rule in RULES.items())
