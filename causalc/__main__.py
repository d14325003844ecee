"""The command line; see ``causalc.cli``."""

from causalc.cli import main

if __name__ == "__main__":
    main()
