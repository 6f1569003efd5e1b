"""`python -m outgate`: the same command, for a machine where the scripts are not on the path."""

import sys

from outgate.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
