"""`python -m tracker.cli`: the command `milepost` where it is not installed."""

import sys

from tracker.cli import main

sys.exit(main())
