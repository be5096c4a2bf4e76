"""Bounded decompression: a megabyte that becomes a gigabyte costs neither memory nor time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from seamwatch.errors import ReadError, Reason

STEP = 64 << 10
"""Bytes of output produced at a time; the caller counts them and may yield to the loop."""

MEMBERS = 1024
"""Gzip members accepted in one body; each costs a decompressor, an honest server sends one."""

_GZIP = 16 + zlib.MAX_WBITS
_CODINGS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}


class Inflater:
    """Decompress one body; *coding* is its Content-Encoding, *where* names it in errors."""

    def __init__(self, coding: str, *, where: str) -> None:
        self._where = where
        self._coding = coding.strip().lower()
        if self._coding not in _CODINGS:
            raise ReadError(
                Reason.BAD_ENCODING,
                f"{where} answered with Content-Encoding {coding[:40]!r}; serve it uncompressed"
                " or with gzip",
            )
        self._wbits = _CODINGS[self._coding]
        self._stream = zlib.decompressobj(self._wbits)
        self._members = 1
        self._started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what *data* decompresses to, in pieces of at most STEP bytes."""
        while data:
            if self._stream.eof:
                data = self._next_member(data)
                if not data:
                    return
            yield from self._pieces(data)
            data = self._stream.unused_data

    def finish(self) -> None:
        """Raise ReadError when the compressed data ended half-way."""
        if self._started and not self._stream.eof:
            raise ReadError(
                Reason.BAD_ENCODING, f"{self._where}: the {self._coding} data ends half-way"
            )

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        if not self._started:
            self._started = True
            # "deflate" means zlib data (RFC 9110 8.4.1.2), but some servers send it raw
            if self._coding == "deflate" and data[0] & 0x0F != 8:
                self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        piece = b""
        # a full piece may have more behind it even when all input is taken
        while data or (len(piece) == STEP and not self._stream.eof):
            piece = self._piece(data)
            data = self._stream.unconsumed_tail
            if piece:
                yield piece

    def _piece(self, data: bytes) -> bytes:
        try:
            return self._stream.decompress(data, STEP)
        except zlib.error as error:
            raise ReadError(
                Reason.BAD_ENCODING, f"{self._where}: the body is not {self._coding}"
            ) from error

    def _next_member(self, data: bytes) -> bytes:
        if self._coding == "deflate" or not data.strip(b"\0"):
            return b""  # padding after the end is harmless
        self._members += 1
        if self._members > MEMBERS:
            raise ReadError(Reason.BAD_ENCODING, f"{self._where}: more than {MEMBERS} gzip members")
        self._stream = zlib.decompressobj(self._wbits)
        return data
