"""Is async worth it, measured here: the same API served in several ways, side by side on this machine.

::

    command.py      what `sqlawait bench` does with its options
    study.py        which contenders, workloads and concurrencies, and the interleaved rounds over them
    runner.py       the servers under test, the load generator and the proxy: started, asked, stopped
    child.py        a process of ours that answers JSON lines
    server.py       one app under test: uvicorn, one worker            (a child)
    load.py         the load generator                                 (a child)
    proxy.py        the latency between an app and its database        (a child)
    target.py       the database under test, and its data set in data.py
    contenders.py   the ways of serving the API; the apps themselves are in apps/
    workloads.py    what the clients ask for
    results.py      measurements, and ratios with their spread
    verdict.py      what the figures say, in words
    table.py page.py charts.py    the report, on the terminal and as one HTML file
    ratios.py       the figures that sqlawait promises, measured again
"""
