"""The one place that knows where dashboards, alerts and runbooks are: in a wheel or checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from seamwatch.errors import SeamwatchError

Kind = Literal["dashboards", "alerts", "runbooks"]

_PACKAGE = Path(__file__).parent


def assets(kind: Kind) -> Path:
    """Return the directory of *kind*.

    Raises:
        SeamwatchError: this installation carries none; it was put together by other means than
            the wheel.
    """
    homes = (_PACKAGE / "_bundle" / kind, _PACKAGE.parents[1] / kind)
    for home in homes:
        if home.is_dir():
            return home
    looked = " nor ".join(map(str, homes))
    raise SeamwatchError(f"{kind} are neither in {looked}; install seamwatch from its wheel")
