"""A pytest plugin for the converted suites: a lazy load is raised where it happens, with the line and the fix."""

from sqlawait.guards import Guards

guards = Guards(lazy_load="raise", n_plus_one="off", shared_session="off", blocked_loop="off")


def pytest_configure():
    guards.install()


def pytest_unconfigure():
    guards.remove()
