"""Where `crmcli` and `python -m crmcli` start: the collector is stopped before there is anything to collect."""

import gc
import os

# A run is short and its process about to go: collecting costs more than it frees.
gc.disable()

try:
    from crmcli.cli import main
except KeyboardInterrupt:
    os._exit(130)

if __name__ == "__main__":
    main()
