"""Run the command line: `python -m mtrack`."""

from mtrack.cli import main

if __name__ == "__main__":
    main()
