"""sqlawait in a FastAPI application."""
