"""A service speaks TLS where it has a certificate, and does not start with one that is of no use."""

import signal
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from bench import servers
from tests.e2e.caller import once_it_is


class Papers:
    """A certificate of its own for this machine, and its key."""

    def __init__(self, folder: Path, encryption: KeySerializationEncryption | None = None) -> None:
        key = generate_private_key(SECP256R1())
        self.certificate, self.key = folder / "certificate.pem", folder / "key.pem"
        self.certificate.write_bytes(_signed(key).public_bytes(Encoding.PEM))
        self.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()))

    @property
    def settings(self) -> dict[str, str]:
        return {"ORDERHOUSE_TLS_CERTIFICATE": str(self.certificate), "ORDERHOUSE_TLS_KEY": str(self.key)}


def _signed(key: EllipticCurvePrivateKey) -> x509.Certificate:
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    return builder.add_extension(here, critical=False).sign(key, SHA256())


@contextmanager
def serving(folder: Path, port: int, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    command = [str(servers.PROGRAM), "serve", "customers", "--port", str(port)]
    environment = servers.environment(folder / "data", COLUMNS="500", **settings)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


def test_a_service_with_a_certificate_speaks_tls_and_nothing_else(tmp_path: Path) -> None:
    papers, port = Papers(tmp_path), servers.free_port()
    trusting = ssl.create_default_context(cafile=papers.certificate)

    def ready(verify: ssl.SSLContext = trusting, scheme: str = "https") -> int:
        with httpx2.Client(verify=verify, trust_env=False) as client:
            return client.get(f"{scheme}://127.0.0.1:{port}/health/readiness").status_code

    def answers() -> bool:
        try:
            return ready() == 200
        except httpx2.ConnectError:
            return False

    with serving(tmp_path, port, **papers.settings):
        once_it_is(True, answers, within_s=30)
        with pytest.raises(httpx2.HTTPError):
            ready(scheme="http")
        with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            ready(ssl.create_default_context())


@pytest.mark.parametrize("trouble", ["no file", "no certificate", "another's key", "a key under a password", "no key"])
def test_a_certificate_that_is_of_no_use_is_told_before_the_start(tmp_path: Path, trouble: str) -> None:
    papers = Papers(tmp_path, BestAvailableEncryption(b"a password") if trouble == "a key under a password" else None)
    settings = papers.settings
    if trouble == "no file":
        papers.certificate.unlink()
    elif trouble == "no certificate":
        papers.certificate.write_text("a certificate")
    elif trouble == "another's key":
        (tmp_path / "other").mkdir()
        settings["ORDERHOUSE_TLS_KEY"] = Papers(tmp_path / "other").settings["ORDERHOUSE_TLS_KEY"]
    elif trouble == "no key":
        settings["ORDERHOUSE_TLS_KEY"] = ""
    with serving(tmp_path, servers.free_port(), **settings) as process:
        told = process.communicate(timeout=30)[0].decode()
        assert process.returncode == 2, told
    assert "ORDERHOUSE_TLS_CERTIFICATE" in told
    assert not (tmp_path / "data").exists()
