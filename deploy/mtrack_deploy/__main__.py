"""Runs the command line: `python -m mtrack_deploy`."""

import sys

from mtrack_deploy.cli import main

sys.exit(main())
