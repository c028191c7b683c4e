"""`python -m transducer`."""

import sys

from transducer.cli import main

sys.exit(main())
