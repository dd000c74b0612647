"""`python -m penstock`: the command line, where the `penstock` script is not on the path."""

import sys

from penstock.cli import main

sys.exit(main())
