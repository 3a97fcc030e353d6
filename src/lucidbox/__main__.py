"""``python -m lucidbox``."""

import sys

from lucidbox.cli import main

sys.exit(main())
