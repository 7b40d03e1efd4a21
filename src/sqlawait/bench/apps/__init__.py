"""The apps under test: the same API, one way of serving it a file, each with its ``app``.

They are imported by :mod:`sqlawait.bench.server` alone, and read what they serve from the environment
(:meth:`sqlawait.bench.target.Target.from_environment`). None is written to lose: each is what the documentation
of its parts recommends, and each async one has the same number of connections.
"""
