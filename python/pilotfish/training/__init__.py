"""What is done with what was learned: kept model versions."""
