"""`python -m neuralshelf` is the command line."""

import sys

from neuralshelf.cli import main

sys.exit(main())
