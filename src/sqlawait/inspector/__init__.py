"""One offline page that shows what a request did."""

from sqlawait.inspector.collector import Collector
from sqlawait.inspector.inspector import PATH, Inspector

__all__ = ["PATH", "Collector", "Inspector"]
