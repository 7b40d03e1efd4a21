"""Any other suite under all guards: ``pytest -p tests.guards.everywhere tests/fastapi tests/service``.

Every engine and session of the run is watched, and each request has a scope of its own. All guards log. At the
end the run tells what they found in which test, for a person to judge. Findings by time are counted only: on a
busy machine they say as much of it as of the code.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from sqlawait.events import Finding
from sqlawait.guards import Guards
from sqlawait.pytest_plugin import _each_request

_found: dict[tuple[str, str, str], set[str]] = {}
_by_time: Counter[str] = Counter()


def _keep(event: object) -> None:
    if not isinstance(event, Finding):
        return
    if event.seconds and event.guard != "n-plus-one":
        _by_time[event.guard] += 1
        return
    test = os.environ.get("PYTEST_CURRENT_TEST", "between tests").split(" ")[0]
    _found.setdefault((event.guard, str(event.site), event.message), set()).add(test)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop() -> Iterator[None]:
    """Watch from the first test to the last."""
    guards = Guards.production(observers=[_keep])
    with guards, _each_request(guards):
        return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what was found."""
    write = terminalreporter.write_line
    terminalreporter.section("found by the guards")
    for (guard, site, message), tests in sorted(_found.items()):
        write(f"{guard} at {site}: {message}")
        for test in sorted(tests)[:4]:
            write(f"    {test}")
        if len(tests) > 4:
            write(f"    and {len(tests) - 4} more")
    write(f"{len(_found)} findings; by time: {dict(_by_time) or 'none'}")
