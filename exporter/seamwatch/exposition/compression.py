"""One gzip stream from a long part that is kept and a short part that is new in each scrape.

The long part ends in a full flush (RFC 1951, 3.2.4): on a byte boundary, with nothing after it
referring back. Any deflate stream can follow it, and the checksum goes on where it stopped. The
result is a single gzip member, which every client reads; some stop after the first of several.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from types import ModuleType

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"  # RFC 1952: deflate, no name, fastest
_RAW = -15  # window of 32 KiB, no header of its own


@dataclass(frozen=True, slots=True)
class Compressed:
    """The long part: its deflate blocks, and the checksum and size of what is in them."""

    data: tuple[bytes, ...]
    checksum: int
    size: int


@cache
def _fastest() -> ModuleType:
    """Return isal's zlib where it is installed (five times faster), else Python's own."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    module: ModuleType = isal_zlib
    return module


def compressed(blocks: Iterable[bytes]) -> Compressed:
    """Return *blocks* compressed, each let go of before the next is asked for."""
    codec = _fastest()
    stream = codec.compressobj(1, zlib.DEFLATED, _RAW)
    data: list[bytes] = []
    checksum = size = 0
    for block in blocks:
        data.append(stream.compress(block))
        checksum = codec.crc32(block, checksum)
        size += len(block)
    data.append(stream.flush(zlib.Z_FULL_FLUSH))
    return Compressed((b"".join(data),), checksum, size)


def finished(long: Compressed, short: bytes) -> tuple[bytes, ...]:
    """Return the gzip file of *long* followed by *short*, in parts."""
    stream = zlib.compressobj(1, zlib.DEFLATED, _RAW)
    end = stream.compress(short) + stream.flush()
    checksum = zlib.crc32(short, long.checksum)
    size = (long.size + len(short)) & 0xFFFFFFFF
    trailer = checksum.to_bytes(4, "little") + size.to_bytes(4, "little")
    return (_HEADER, *long.data, end + trailer)
