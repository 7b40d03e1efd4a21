"""What a sync session loads on access, loaded where it can be awaited: with a statement, or by a refresh."""
