"""What holds for every test."""

from hypothesis import settings

# The same examples on every run and every machine; a slow shared runner must not fail a property.
settings.register_profile("pilotfish", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("pilotfish")
