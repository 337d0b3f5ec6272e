"""Pilotfish's tests. A test's name is its claim; see CONTRIBUTING.md for the folders."""
