"""A process that runs the commands it is given, a JSON list of arguments a line, and tells how each one ended."""

from __future__ import annotations

import io
import json
import sys

from crmcli import cli
from crmcli.output import Output
from tests.storage.mortal import keep_small


def main() -> None:
    keep_small()
    for line in sys.stdin:
        out, err = io.StringIO(), io.StringIO()
        code = cli.run(json.loads(line), Output(out, err, io.StringIO()))
        print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)  # noqa: T201 - how it answers


if __name__ == "__main__":
    main()
