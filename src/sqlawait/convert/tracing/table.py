"""A trace as a table for the terminal."""

from __future__ import annotations

from collections import Counter

from .trace import Load, Trace

HEAD = ("attribute", "loaded at", "touched at", "by", "times")
SHOWN = 40


def as_table(trace: Trace) -> str:
    """What was loaded on access outside of the tests' own code: where from, where touched, how often."""
    rows: Counter[tuple[str, str, str, str]] = Counter()
    for load in trace.loads:
        if load.by != "test":
            rows[(_attribute(load), _from(load), _touched(load), load.by)] += load.count
    in_tests = sum(load.count for load in trace.loads if load.by == "test")
    told = f"{trace.tests} tests traced"
    if trace.failed:
        told += f", {trace.failed} of them failed: what those would have loaded is not known"
    told += f"; {sum(rows.values())} loads on access by the application, {in_tests} by the tests themselves"
    if not rows:
        return told
    lines = [HEAD, *((*row, str(count)) for row, count in rows.most_common(SHOWN))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    shown = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    if len(rows) > SHOWN:
        shown.append(f"… and {len(rows) - SHOWN} more places")
    return "\n".join([told, "", *shown])


def _attribute(load: Load) -> str:
    model = load.model.rpartition(".")[2]
    if load.kind == "relationship":
        return f"{model}.{load.attribute}"
    what = {"deferred": f"{model}.{load.attribute}", "subclass": f"columns of {model}"}
    return what.get(load.how, f"{model}, expired by {load.how}")


def _from(load: Load) -> str:
    owner = load.again or load.owner
    if owner is None or owner.site is None:
        return "not known"
    place = f"{owner.site}" if owner.how == "loaded" else f"{owner.how} at {owner.site}"
    path = "".join(f".{name}" for _, name in owner.path or ())
    return f"{place} ({(owner.root or '').rpartition('.')[2]}{path})" if path else place


def _touched(load: Load) -> str:
    if load.template is not None:
        return f"{load.template[0].replace(chr(92), '/').rpartition('/')[2]}:{load.template[1]}"
    if load.touched:
        return str(load.touched[0])
    return f"the answer of {load.endpoint[0]}:{load.endpoint[1]}" if load.endpoint else "a library"


__all__ = ["as_table"]
