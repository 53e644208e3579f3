"""Where `crmcli` and `python -m crmcli` start: the collector is stopped before there is anything to collect."""

import gc

# A run is short and its process about to go: collecting costs more than it frees.
gc.disable()

from crmcli.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
