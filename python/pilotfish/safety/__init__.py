"""What must never leave: the legal set before the core chooses, the guard before the answer returns."""
