"""Pilotfish: which module should take this task, learned from what happened."""

__all__: list[str] = []
