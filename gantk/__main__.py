"""`python -m gantk` is the command `gantk`."""

from gantk.cli.main import main

if __name__ == "__main__":
    main()
