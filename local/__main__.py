"""`python -m local run …`, `ui …` and `migration-demo …`: what make calls.

The commands are imported late, so that Ctrl-C is answered in one line from the first moment on.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command named first, with the arguments that follow."""
    name, *arguments = sys.argv[1:] or [""]
    try:
        if name == "run":
            from local import run as command  # noqa: PLC0415
        elif name == "ui":
            from local import ui as command  # type: ignore[no-redef]  # noqa: PLC0415
        elif name == "migration-demo":
            from local import migration_demo as command  # type: ignore[no-redef]  # noqa: PLC0415
        else:
            print("Usage: python -m local run|ui|migration-demo", file=sys.stderr)
            return 2
        return command.main(arguments)
    except KeyboardInterrupt:
        print("Interrupted. What was stored stays; run again to go on.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
