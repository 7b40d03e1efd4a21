"""Labels of the corpus, and how findings score against them.

The grammar of the labels is in ``corpus/README.md``.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"

_COMMENT = re.compile(r"#\s*(?P<labels>(?:expect|also|ok):.*)$")
_PART = re.compile(r"(expect|also|ok):\s*((?:SAW\d{3}(?:\[\w+\])?)(?:\s*,\s*SAW\d{3}(?:\[\w+\])?)*)\s*")
_CODE = re.compile(r"(SAW\d{3})(?:\[(\w+)\])?")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of the corpus and a rule's code."""

    path: str
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.code}"


@dataclass(frozen=True, slots=True)
class Site:
    """One mistake: a finding at any of its places is right, and one is needed."""

    code: str
    places: frozenset[Place]

    def __str__(self) -> str:
        return " or ".join(map(str, sorted(self.places)))


@dataclass(slots=True)
class Labels:
    """What the corpus says of itself."""

    sites: list[Site] = field(default_factory=list)
    also: set[Place] = field(default_factory=set)
    near_misses: set[Place] = field(default_factory=set)

    def counts(self) -> dict[str, tuple[int, int]]:
        """The number of sites and of near misses, by code."""
        codes = sorted({site.code for site in self.sites} | {place.code for place in self.near_misses})
        return {
            code: (
                sum(site.code == code for site in self.sites),
                sum(place.code == code for place in self.near_misses),
            )
            for code in codes
        }


@dataclass(frozen=True, slots=True)
class Row:
    """One rule's score."""

    code: str
    found: tuple[Site, ...]
    missed: tuple[Site, ...]
    right: int
    wrong: tuple[Place, ...]

    @property
    def recall(self) -> float:
        """The share of the sites that were found."""
        total = len(self.found) + len(self.missed)
        return len(self.found) / total if total else 1.0

    @property
    def precision(self) -> float:
        """The share of the findings that are right."""
        total = self.right + len(self.wrong)
        return self.right / total if total else 1.0


def read_labels(root: Path = CORPUS) -> Labels:
    """Read the labels of every module below ``root``; a comment that only looks like a label is an error."""
    labels = Labels()
    for path in sorted(root.rglob("*.py")):
        _read_module(path, path.relative_to(root).as_posix(), labels)
    return labels


def score(labels: Labels, findings: Iterable[Place]) -> list[Row]:
    """Score ``findings`` by rule; the last row is the total."""
    reported = set(findings)
    rightful = {place for site in labels.sites for place in site.places} | labels.also
    codes = sorted({site.code for site in labels.sites} | {place.code for place in reported})
    rows = [_row(code, labels.sites, reported, rightful) for code in codes]
    total = Row(
        "total",
        tuple(site for row in rows for site in row.found),
        tuple(site for row in rows for site in row.missed),
        sum(row.right for row in rows),
        tuple(place for row in rows for place in row.wrong),
    )
    return [*rows, total]


def table(rows: Iterable[Row]) -> str:
    """The score as text: the table, then what was missed and what was wrong."""
    lines = [f"{'rule':8}{'sites':>7}{'found':>7}{'recall':>8}{'right':>7}{'wrong':>7}{'precision':>11}"]
    rows = list(rows)
    for row in rows:
        sites = len(row.found) + len(row.missed)
        lines.append(
            f"{row.code:8}{sites:7}{len(row.found):7}{row.recall:8.3f}{row.right:7}{len(row.wrong):7}{row.precision:11.3f}"
        )
    lines += [f"missed  {site}" for site in rows[-1].missed]
    lines += [f"wrong   {place}" for place in rows[-1].wrong]
    return "\n".join(lines)


def _row(code: str, sites: list[Site], reported: set[Place], rightful: set[Place]) -> Row:
    own = [site for site in sites if site.code == code]
    mine = {place for place in reported if place.code == code}
    return Row(
        code,
        tuple(site for site in own if site.places & mine),
        tuple(site for site in own if not site.places & mine),
        len(mine & rightful),
        tuple(sorted(mine - rightful)),
    )


def _read_module(path: Path, name: str, labels: Labels) -> None:
    groups: dict[tuple[str, str], set[Place]] = defaultdict(set)
    for line, kind, code, group in _parse(path):
        place = Place(name, line, code)
        if kind == "ok":
            labels.near_misses.add(place)
        elif kind == "also":
            labels.also.add(place)
        elif group:
            groups[code, group].add(place)
        else:
            labels.sites.append(Site(code, frozenset({place})))
    labels.sites += [Site(code, frozenset(places)) for (code, _), places in groups.items()]


def _parse(path: Path) -> Iterator[tuple[int, str, str, str]]:
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or not (match := _COMMENT.match(token.string)):
            continue
        rest = match["labels"]
        while rest:
            part = _PART.match(rest)
            if part is None:
                raise ValueError(f"{path}:{token.start[0]}: not a label: {rest!r}; see corpus/README.md")
            for code, group in _CODE.findall(part[2]):
                yield token.start[0], part[1], code, group
            rest = rest[part.end() :].lstrip("# ")
