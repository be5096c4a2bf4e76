"""TLS from the web configuration; new certificates are taken up without a restart."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seamwatch.config.problems import ConfigError, Problem
from seamwatch.web.webconfig import CIPHERS, TlsSection, WebConfigFile, stamp

log = logging.getLogger(__name__)

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
_VERIFY = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}


def server_context(section: TlsSection, directory: Path) -> ssl.SSLContext:
    """Return a context for *section*, whose paths are relative to *directory*.

    Raises:
        OSError, ssl.SSLError: a file is missing, or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[section.min_version]
    context.maximum_version = _VERSIONS[section.max_version]
    if section.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    ciphers = list(filter(None, (CIPHERS[name] for name in section.cipher_suites)))
    if ciphers:
        context.set_ciphers(":".join(ciphers))
    for curve in section.curve_preferences:
        context.set_ecdh_curve(_CURVES[curve])
    with (
        _readable(section.cert, section.cert_file, directory) as certificate,
        _readable(section.key, section.key_file, directory) as key,
    ):
        context.load_cert_chain(certificate, key, password=_no_password)
    context.verify_mode = _VERIFY[section.client_auth_type]
    if section.client_ca is not None:
        context.load_verify_locations(cadata=section.client_ca)
    elif section.client_ca_file is not None:
        context.load_verify_locations(directory / section.client_ca_file)
    return context


def _no_password() -> str:
    raise ssl.SSLError("the key has a password; store it without one")


@contextmanager
def _readable(text: str | None, file: str | None, directory: Path) -> Iterator[Path]:
    """Yield a path that OpenSSL can open; a *text* never touches a disk."""
    if text is None:
        yield directory / str(file)
        return
    descriptor = os.memfd_create("seamwatch-tls")
    try:
        os.write(descriptor, text.encode())
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


class RotatingContext(ssl.SSLContext):
    """A context that stands for the newest one: each new connection gets what the files say now.

    While the files cannot be used (a certificate is being replaced, say) the last good ones go on.
    """

    _file: WebConfigFile
    _inner: ssl.SSLContext
    _seen: tuple[Any, ...]

    @classmethod
    def of(cls, file: WebConfigFile) -> RotatingContext:
        """Return the context of *file*.

        Raises:
            ConfigError: the certificate, the key or the client CA cannot be used.
        """
        context = cls(ssl.PROTOCOL_TLS_SERVER)
        context._file = file
        context._seen, context._inner = context._build()
        return context

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """Begin a connection; asyncio and uvloop call this for each."""
        try:
            if self._stamps() != self._seen:
                self._seen, self._inner = self._build()
                log.info("new TLS settings are in use for new connections")
        except ConfigError as error:
            self._seen = self._stamps_or_none()
            log.error("the TLS settings before stay in use: %s", error)
        return self._inner.wrap_bio(*args, **options)

    def _stamps_or_none(self) -> tuple[Any, ...]:
        try:
            return self._stamps()
        except ConfigError:
            return ()

    def _stamps(self) -> tuple[Any, ...]:
        section, directory = self._section()
        files = (section.cert_file, section.key_file, section.client_ca_file)
        return (section, *(stamp(directory / name) for name in files if name is not None))

    def _section(self) -> tuple[TlsSection, Path]:
        section, path = self._file.current().tls_server_config, self._file.path
        assert section is not None  # TLS is not switched while we run
        assert path is not None
        return section, path.absolute().parent

    def _build(self) -> tuple[tuple[Any, ...], ssl.SSLContext]:
        section, directory = self._section()
        seen = self._stamps()  # before the files are read: what changes meanwhile is seen later
        try:
            return seen, server_context(section, directory)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            names = ", ".join(filter(None, (section.cert_file, section.key_file)))
            message = f"TLS cannot be set up with {names or 'the given text'}: {error}"
            path = str(self._file.path)
            problem = Problem(path, 0, 0, ("tls_server_config",), message)
            raise ConfigError(path, [problem]) from error
