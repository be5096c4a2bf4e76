"""The web configuration file: strict when read, and a locked door while it is wrong."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import bcrypt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from seamwatch.config.problems import ConfigError
from seamwatch.web import Server
from seamwatch.web.auth import BasicAuth, TooManyAsk, credentials
from seamwatch.web.webconfig import WebConfig, load
from test_web import serving

# a fixed salt, so that the tests have the same names in every process
ANNA = bcrypt.hashpw(b"s3cret", b"$2b$04$abcdefghijklmnopqrstuu").decode()
USERS = f'basic_auth_users:\n  anna: "{ANNA}"\n'


def written(directory: Path, text: str) -> Path:
    path = directory / "web.yml"
    path.write_text(text)
    return path


def basic(user: str, password: str) -> dict[str, str]:
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


async def status(url: str, **options: object) -> int:
    """Return the status of a GET on a connection of its own."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, **options) as response,  # type: ignore[arg-type]
    ):
        await response.read()
        return response.status


# the file


def test_an_empty_file_asks_for_nothing(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")) == WebConfig()


def test_a_file_of_the_toolkit_is_read_as_it_is(tmp_path: Path) -> None:
    config = load(
        written(
            tmp_path,
            f"""
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: true
  curve_preferences: [CurveP256]
http_server_config:
  http2: true
  headers: {{X-Frame-Options: deny, Strict-Transport-Security: max-age=60}}
basic_auth_users: {{anna: "{ANNA}"}}
rate_limit: {{interval: 1s, burst: 20}}
""",
        )
    )
    assert config.tls_server_config is not None
    assert config.tls_server_config.client_allowed_sans == ("prometheus",)
    assert config.rate_limit.burst == 20
    assert config.http_server_config.http2 is True


TLS = "tls_server_config:\n  cert_file: a\n  key_file: b\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "basic_auth_user: {}\n",
            ":1:1: basic_auth_user: is no key of this section; write one of tls_server_config, "
            "http_server_config, basic_auth_users, rate_limit",
        ),
        (
            TLS + "  client_auth: x\n",
            ":4:3: tls_server_config.client_auth: is no key of this section; write one of cert,",
        ),
        ("basic_auth_users: {a: secret}\n", ":1:20: basic_auth_users.a: this is not a bcrypt hash"),
        (f'basic_auth_users: {{a: "{ANNA.replace("$04$", "$31$")}"}}\n', "the cost 31 takes"),
        ("basic_auth_users: []\n", ":1:1: basic_auth_users: cannot be read: input should be"),
        (
            "http_server_config: {headers: {Server: x}}\n",
            "header Server is not offered; use one of",
        ),
        ("http_server_config: {headers: {X-Frame-Options: all}}\n", "may be deny or sameorigin"),
        ('http_server_config: {headers: {X-XSS-Protection: "1\\nX: y"}}\n', "control character"),
        ("tls_server_config: {cert_file: a}\n", ":1:1: tls_server_config: key_file is missing"),
        (TLS + "  key: c\n", "key and key_file exclude one another"),
        (TLS + "  client_auth_type: RequireAnyClientCert\n  client_ca_file: c\n", "is not offered"),
        (TLS + "  client_ca_file: c\n", "belong together"),
        (TLS + "  client_auth_type: RequireAndVerifyClientCert\n", "belong together"),
        (TLS + "  client_allowed_sans: [a]\n", "needs client_auth_type"),
        (TLS + "  min_version: TLS13\n  max_version: TLS12\n", "newer than max_version"),
        (TLS + "  min_version: SSL3\n", ":4:3: tls_server_config.min_version: is not offered;"),
        (
            TLS + "  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n",
            "cipher_suites[0]: TLS_RSA_WITH_RC4",
        ),
        (TLS + "  curve_preferences: [CurveP256, X25519]\n", "takes one value"),
        ("rate_limit: {interval: 5}\n", "5 has no unit; write 5s"),
        ("rate_limit: {interval: 1s, burst: 0}\n", "greater than or equal to 1"),
        ("a: 1\na: 2\n", "is given twice"),
        ("basic_auth_users: {\n", "web.yml:2:1: "),
        ("- 1\n", "web.yml:1:1: cannot be read: input should be a valid dictionary"),
        ("\0", "control character U+0000"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
    assert ANNA[10:] not in str(caught.value)


def test_a_missing_file_is_an_error_and_not_an_open_door(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yml: cannot be read: No such file"):
        load(tmp_path / "none.yml")


# basic authentication


async def test_only_who_knows_the_password_gets_the_page(tmp_path: Path) -> None:
    async with serving(web_config=written(tmp_path, USERS)) as (_, url):
        async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as nobody:
            assert nobody.status == 401
            assert nobody.headers["WWW-Authenticate"].startswith("Basic realm=")
            assert "seamwatch_" not in await nobody.text()
        for path in ("/", "/metrics", "/-/healthy", "/-/ready", "/nothing"):
            assert await status(url + path, headers=basic("anna", "wrong")) == 401
            assert await status(url + path, headers=basic("eve", "s3cret")) == 401
        assert await status(url + "/metrics", headers=basic("anna", "s3cret")) == 200
        assert await status(url + "/metrics", headers=basic("anna", "s3cret")) == 200
        for strange in ("Basic", "Basic %%%", "Basic YW5uYQ==", "Bearer x", "basic \x80"):
            assert await status(url, headers={"Authorization": strange}) == 401


async def test_what_was_checked_is_remembered_until_the_hash_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked: list[bytes] = []
    real = bcrypt.checkpw

    def counting(password: bytes, hashed: bytes) -> bool:
        checked.append(password)
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    auth = BasicAuth()
    users = {"anna": ANNA}
    right, wrong = (basic("anna", word)["Authorization"] for word in ("s3cret", "no"))
    stranger = basic("eve", "s3cret")["Authorization"]
    for _ in range(3):
        assert await auth.allows(right, users)
        assert not await auth.allows(wrong, users)
        assert not await auth.allows(stranger, users)
    assert checked == [b"s3cret", b"no", b"s3cret"]  # a stranger costs as much as anna
    new = bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()
    assert not await auth.allows(right, {"anna": new})
    auth.close()


async def test_a_flood_of_wrong_passwords_is_refused_while_known_ones_pass() -> None:
    auth = BasicAuth()
    users = {"anna": bcrypt.hashpw(b"s3cret", bcrypt.gensalt(6)).decode()}
    right = basic("anna", "s3cret")["Authorization"]
    assert await auth.allows(right, users)
    flood = [
        asyncio.ensure_future(auth.allows(basic("anna", str(n))["Authorization"], users))
        for n in range(100)
    ]
    await asyncio.sleep(0)
    assert await auth.allows(right, users)
    results = await asyncio.gather(*flood, return_exceptions=True)
    assert results.count(False) == 32
    assert sum(isinstance(result, TooManyAsk) for result in results) == 68
    auth.close()


@pytest.mark.parametrize("password", ["x" * 73, "x" * 5000, "\0", "pä ss:wörd"])
async def test_a_password_that_bcrypt_cannot_take_is_wrong_and_no_crash(password: str) -> None:
    auth = BasicAuth()
    assert not await auth.allows(basic("anna", password)["Authorization"], {"anna": ANNA})
    auth.close()


async def test_hashes_as_htpasswd_writes_them_are_taken() -> None:
    auth = BasicAuth()
    hashed = "$2y$" + ANNA[4:]
    assert await auth.allows(basic("anna", "s3cret")["Authorization"], {"anna": hashed})
    auth.close()


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Basic YW5uYTpzOjE=", ("anna", b"s:1")),
        ("bAsIc  YW5uYTo=", ("anna", b"")),
        ("Basic YW5uYQ==", (None, b"")),
        ("Basic", (None, b"")),
        (None, (None, b"")),
    ],
)
def test_credentials_are_read_as_rfc_7617_says(
    header: str | None, found: tuple[str | None, bytes]
) -> None:
    assert credentials(header)[0] == found[0]
    assert found[0] is None or credentials(header)[1] == found[1]


# while it runs


async def test_a_changed_file_counts_from_the_next_request_and_a_bad_one_shuts_the_door(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path, "")
    async with serving(web_config=path) as (_, url):
        assert await status(url + "/metrics") == 200
        path.write_text(USERS)
        assert await status(url + "/metrics") == 401
        assert await status(url + "/metrics", headers=basic("anna", "s3cret")) == 200
        path.write_text(USERS + "oops: 1\n")
        for _ in range(2):
            assert await status(url + "/metrics", headers=basic("anna", "s3cret")) == 500
        path.unlink()
        assert await status(url + "/-/healthy") == 500
        path.write_text("# nothing\n")
        assert await status(url + "/metrics") == 200
    assert caplog.text.count("oops: is no key of this section") == 1  # once, not for each request


async def test_headers_of_the_file_stand_on_every_answer_and_win_over_ours(tmp_path: Path) -> None:
    text = (
        "http_server_config:\n  headers:\n    X-Frame-Options: deny\n"
        "    Content-Security-Policy: default-src 'self'\n"
    )
    async with (
        serving(web_config=written(tmp_path, text)) as (_, url),
        aiohttp.ClientSession() as session,
    ):
        for path in ("/", "/metrics", "/nothing"):
            async with session.get(url + path) as response:
                assert response.headers["X-Frame-Options"] == "deny"
                assert response.headers.getall("Content-Security-Policy") == ["default-src 'self'"]


async def test_requests_over_the_rate_get_429(tmp_path: Path) -> None:
    text = "rate_limit: {interval: 1h, burst: 2}\n"
    async with serving(web_config=written(tmp_path, text)) as (_, url):
        assert [await status(url) for _ in range(4)] == [200, 200, 429, 429]


# TLS


@dataclass(frozen=True)
class Authority:
    """A certificate authority of our own."""

    directory: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def create(cls, directory: Path, name: str = "authority") -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        authority = cls(directory, key, _certificate(name, key, None, None))
        (directory / f"{name}.crt").write_bytes(_pem(authority.certificate))
        return authority

    def issue(self, name: str, *, file: str) -> None:
        """Write FILE.crt and FILE.key for *name*."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key, self.key, self.certificate)
        (self.directory / f"{file}.crt").write_bytes(_pem(certificate))
        (self.directory / f"{file}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey | None,
    issuer: x509.Certificate | None,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    return builder.sign(signer or key, hashes.SHA256())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority.create(tmp_path)
    made.issue("localhost", file="server")
    made.issue("prometheus", file="client")
    return made


def client(directory: Path, *, with_certificate: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=directory / "authority.crt")
    if with_certificate is not None:
        context.load_cert_chain(
            directory / f"{with_certificate}.crt", directory / f"{with_certificate}.key"
        )
    return context


@asynccontextmanager
async def secured(
    directory: Path, more: str = "", text: str | None = None
) -> AsyncIterator[tuple[Server, str]]:
    tls = text or "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
    async with serving(web_config=written(directory, tls + more)) as (server, _):
        yield server, f"https://localhost:{server.addresses[0].port}"


async def serial(server: Server, directory: Path) -> int:
    """Return the serial number of the certificate that a new connection gets."""
    port = server.addresses[0].port
    _, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=client(directory), server_hostname="localhost"
    )
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return x509.load_der_x509_certificate(found).serial_number


def on_disk(directory: Path) -> int:
    return x509.load_pem_x509_certificate((directory / "server.crt").read_bytes()).serial_number


async def test_the_page_is_served_over_tls_and_not_without(
    authority: Authority, tmp_path: Path
) -> None:
    async with secured(tmp_path) as (server, url):
        assert server.urls[0].startswith("https://")
        assert await status(f"{url}/metrics", ssl=client(tmp_path)) == 200
        with pytest.raises(aiohttp.ClientError):
            await status(f"http://localhost:{server.addresses[0].port}/metrics")


async def test_a_certificate_may_stand_in_the_file_itself(
    authority: Authority, tmp_path: Path
) -> None:
    def block(name: str) -> str:
        return "".join(f"    {line}\n" for line in (tmp_path / name).read_text().splitlines())

    text = f"tls_server_config:\n  cert: |\n{block('server.crt')}  key: |\n{block('server.key')}"
    async with secured(tmp_path, text=text) as (_, url):
        assert await status(f"{url}/metrics", ssl=client(tmp_path)) == 200


async def test_an_old_protocol_version_is_refused(authority: Authority, tmp_path: Path) -> None:
    old = client(tmp_path)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    more = "  min_version: TLS13\n"
    async with secured(tmp_path, more) as (_, url):
        with pytest.raises(aiohttp.ClientError):
            await status(url, ssl=old)
        assert await status(url, ssl=client(tmp_path)) == 200


async def test_suites_and_curves_by_the_names_of_go_are_set(
    authority: Authority, tmp_path: Path
) -> None:
    more = (
        "  max_version: TLS12\n  curve_preferences: [CurveP256]\n"
        "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n"
    )
    async with secured(tmp_path, more) as (server, _):
        port = server.addresses[0].port
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client(tmp_path), server_hostname="localhost"
        )
        assert writer.get_extra_info("cipher")[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
        writer.close()
        await writer.wait_closed()


MUTUAL = "  client_ca_file: authority.crt\n  client_auth_type: RequireAndVerifyClientCert\n"


async def test_mutual_tls_lets_in_only_who_has_a_certificate_of_the_authority(
    authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    Authority.create(tmp_path / "other").issue("prometheus", file="client")
    foreign = client(tmp_path)
    foreign.load_cert_chain(tmp_path / "other" / "client.crt", tmp_path / "other" / "client.key")
    async with secured(tmp_path, MUTUAL) as (_, url):
        assert await status(url, ssl=client(tmp_path, with_certificate="client")) == 200
        for outsider in (client(tmp_path), foreign):
            with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
                await status(url, ssl=outsider)


async def test_of_valid_certificates_only_those_with_an_allowed_name_are_let_in(
    authority: Authority, tmp_path: Path
) -> None:
    authority.issue("somebody", file="somebody")
    async with secured(tmp_path, MUTUAL + "  client_allowed_sans: [prometheus]\n") as (_, url):
        assert await status(url, ssl=client(tmp_path, with_certificate="client")) == 200
        assert await status(url, ssl=client(tmp_path, with_certificate="somebody")) == 403


async def test_a_new_certificate_is_taken_up_and_a_broken_one_is_not(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with secured(tmp_path) as (server, url):
        first = await serial(server, tmp_path)
        authority.issue("localhost", file="server")
        second = await serial(server, tmp_path)
        (tmp_path / "server.key").write_text("half of a")
        third = await serial(server, tmp_path)
        assert await status(url, ssl=client(tmp_path)) == 200
        authority.issue("localhost", file="server")
        fourth = await serial(server, tmp_path)
        assert fourth == on_disk(tmp_path)
    assert len({first, second, fourth}) == 3
    assert third == second
    assert caplog.text.count("stay in use") == 1


async def test_tls_is_not_switched_off_under_running_clients(
    authority: Authority, tmp_path: Path
) -> None:
    async with secured(tmp_path) as (_, url):
        (tmp_path / "web.yml").write_text("")
        assert await status(url, ssl=client(tmp_path)) == 500


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cert_file: none.crt\n  key_file: server.key", "No such file"),
        ("cert_file: server.crt\n  key_file: client.key", "KEY_VALUES_MISMATCH"),
        (
            "cert_file: server.crt\n  key_file: server.crt",
            "tls_server_config: TLS cannot be set up",
        ),
    ],
)
async def test_a_certificate_that_cannot_be_used_ends_the_start(
    authority: Authority, tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        async with secured(tmp_path, text=f"tls_server_config:\n  {text}\n"):
            pass
    assert says in str(caught.value)


async def test_the_same_holds_under_uvloop(authority: Authority, tmp_path: Path) -> None:
    import uvloop

    async def scene() -> None:
        async with secured(tmp_path, MUTUAL) as (server, url):
            outsider, insider = client(tmp_path), client(tmp_path, with_certificate="client")
            assert await status(f"{url}/metrics", ssl=insider) == 200
            with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
                await status(url, ssl=outsider)
            assert server.scrapes == 0

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(scene())

    await asyncio.to_thread(run)
