"""`python -m pilotfish`."""

from pilotfish.cli import main

if __name__ == "__main__":
    main(prog_name="pilotfish")
