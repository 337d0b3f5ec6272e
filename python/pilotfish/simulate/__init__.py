"""A simulated hub over real tables: what `pilotfish demo` plays."""
