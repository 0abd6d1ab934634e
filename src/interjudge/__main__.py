"""The door, of `interjudge` and `python -m interjudge`: Ctrl-C ends it in order even while modules are still read."""

from __future__ import annotations

import sys


def main() -> None:
    try:
        from interjudge.cli import main as command  # noqa: PLC0415 - this import is what takes time

        command()
    except KeyboardInterrupt:
        sys.stderr.write("interjudge: stopped\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
