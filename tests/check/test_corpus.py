"""The linter against the labelled corpus."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from check.scoring import CORPUS, Labels, Place, Site, read_labels, score, table
from sqlawait.check import RULES, Report, check_paths
from sqlawait.check.fixing import fixed_texts
from sqlawait.check.settings import Settings


@pytest.fixture(scope="module")
def report() -> Report:
    """What the linter says of the corpus, all rules selected."""
    return checked(CORPUS)


def checked(folder: Path) -> Report:
    """The corpus or a copy of it, checked by all rules."""
    return check_paths([folder], Settings(root=folder, codes=frozenset(RULES)))


@pytest.fixture(scope="module")
def labels() -> Labels:
    """The corpus's labels."""
    return read_labels()


def test_every_module_of_the_corpus_parses() -> None:
    """The corpus is valid Python."""
    for path in CORPUS.rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def test_the_corpus_is_large_and_holds_every_rule(labels: Labels) -> None:
    """At least 300 sites and 150 near misses, and for each rule 8 sites and 4 near misses."""
    counts = labels.counts()
    assert set(counts) == set(RULES)
    assert {code: count for code, count in counts.items() if count[0] < 8 or count[1] < 4} == {}
    assert sum(sites for sites, _ in counts.values()) >= 300
    assert sum(near for _, near in counts.values()) >= 150


def test_no_line_is_both_a_site_and_a_near_miss(labels: Labels) -> None:
    """A label says one thing."""
    sites = {place for site in labels.sites for place in site.places}
    assert sites & labels.near_misses == set()
    assert sites & labels.also == set()


def test_a_comment_that_only_looks_like_a_label_is_an_error(tmp_path: Path) -> None:
    """A misspelt label is refused, so that no site is lost silently."""
    (tmp_path / "app.py").write_text("x = 1  # expect: SAW1\n")
    with pytest.raises(ValueError, match="not a label"):
        read_labels(tmp_path)


def test_scores_count_found_missed_and_wrong(tmp_path: Path) -> None:
    """One place of a named group is enough; `also` is neither asked for nor wrong; all else is wrong."""
    source = """\
    a()  # expect: SAW101
    b()  # expect: SAW409[body] # also: SAW101
    c()  # expect: SAW409[body]
    d()  # expect: SAW101, SAW305
    e()  # ok: SAW101
    """
    (tmp_path / "app.py").write_text("\n".join(line.strip() for line in source.splitlines()))
    labels = read_labels(tmp_path)
    assert labels.counts() == {"SAW101": (2, 1), "SAW305": (1, 0), "SAW409": (1, 0)}
    found = [("SAW101", 1), ("SAW101", 2), ("SAW409", 3), ("SAW101", 5)]
    rows = {row.code: row for row in score(labels, [Place("app.py", line, code) for code, line in found])}
    assert (rows["SAW101"].recall, rows["SAW101"].precision) == (0.5, 2 / 3)
    assert rows["SAW101"].missed == (Site("SAW101", frozenset({Place("app.py", 4, "SAW101")})),)
    assert rows["SAW409"].recall == rows["SAW409"].precision == 1.0
    assert rows["SAW305"].recall == 0.0
    assert (len(rows["total"].found), len(rows["total"].missed), rows["total"].right) == (2, 2, 3)
    assert "wrong   app.py:5 SAW101" in table(rows.values())


def test_recall_and_precision_over_the_corpus(
    labels: Labels, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nearly every site is found, and nearly every finding is right; the table shows each rule."""
    findings = [
        Place(each.path.relative_to(CORPUS).as_posix(), each.start[0], each.code) for each in report.findings
    ]
    rows = score(labels, findings)
    with capsys.disabled():
        print(f"\n{table(rows)}")
    assert report.broken == ()
    assert rows[-1].recall >= 0.95
    assert rows[-1].precision >= 0.97
    assert [row.code for row in rows if row.recall < 0.8 or row.precision < 0.85] == []


def test_fixes_parse_silence_their_findings_and_are_idempotent(report: Report, tmp_path: Path) -> None:
    """All fixes are applied until none is left: the corpus parses, and no fix brings a finding of its own."""
    folder = tmp_path / "corpus"
    shutil.copytree(CORPUS, folder)
    before = checked(folder)
    assert len(before.findings) == len(report.findings)
    found, fixed = before, 0
    for _ in range(4):
        texts, count = fixed_texts(found.findings, unsafe=True)
        if not texts:
            break
        fixed += count
        for path, text in texts.items():
            ast.parse(text, filename=str(path))
            path.write_text(text)
        found = checked(folder)
    assert [
        f"{each.path.name}:{each.start[0]} {each.code}" for each in found.findings if each.fix is not None
    ] == []
    assert fixed >= 100
    assert len(found.findings) <= len(before.findings) - fixed
    assert found.broken == ()
