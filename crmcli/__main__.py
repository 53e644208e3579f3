"""Makes `python -m crmcli` do the same as `crmcli`."""

from crmcli.cli import main

if __name__ == "__main__":
    main()
