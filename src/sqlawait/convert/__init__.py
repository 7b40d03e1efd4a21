"""The codemod: a sync code base becomes async, and its tests still pass."""
