"""Database: engines, sessions, lifecycle, health: the one object a user makes."""
