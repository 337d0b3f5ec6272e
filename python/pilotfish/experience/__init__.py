"""The log: what was decided and what was measured. The asset; everything else is folded from it."""
