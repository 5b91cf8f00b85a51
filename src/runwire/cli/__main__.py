"""``python -m runwire.cli``."""

from runwire.cli import main

if __name__ == "__main__":
    main()
