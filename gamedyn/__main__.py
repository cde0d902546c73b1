"""`python -m gamedyn` is `gamedyn`."""

from gamedyn.cli import main

if __name__ == "__main__":
    main()
