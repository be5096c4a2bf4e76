"""``python -m seamwatch``: the command, where no script is on the path."""

from __future__ import annotations

from seamwatch.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
