"""``python -m sqlawait`` is ``sqlawait``."""

from sqlawait.cli import main

main()
