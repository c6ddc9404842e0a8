"""A small certificate authority for one district's broker: enough until provisioning issues certificates itself.

EC keys on P-256, SHA-256. A client's certificate names its user at the broker (CN) and nothing else; the broker's names
the hosts under which it is reached. Keys are readable by their owner only, and nothing that exists is ever overwritten.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from center.errors import CenterError

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 825
CA_CERTIFICATE, CA_KEY = "ca.pem", "ca.key"
_USER = re.compile(r"[A-Za-z0-9._-]{1,64}")  # as center.config.Username
_BEFORE = timedelta(hours=1)  # a device whose clock is a little behind


class CertificateError(CenterError):
    """A certificate cannot be made or read."""


def make_authority(folder: Path, name: str, now: datetime, days: int = AUTHORITY_DAYS) -> Path:
    """`ca.pem` and `ca.key` in `folder`. Returns the certificate's path. Raises CertificateError."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    usage = _usage(certificates=True)
    certificate = (
        _builder(subject, subject, key, now, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _write(folder, CA_CERTIFICATE, CA_KEY, certificate, key)


def make_certificate(
    authority: Path, folder: Path, name: str, now: datetime, hosts: Sequence[str] = (), days: int = CERTIFICATE_DAYS
) -> Path:
    """`<name>.pem` and `<name>.key` in `folder`: of the broker where `hosts` are given, else of the user `name`.

    Returns the certificate's path. Raises CertificateError.
    """
    if not _USER.fullmatch(name):
        raise CertificateError(
            f"certificate {name[:80]!r}: expected 1 to 64 of A-Z a-z 0-9 . _ - as in the users file; choose such a name"
        )
    ca, ca_key = _read_authority(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    days = min(days, max(0, (ca.not_valid_after_utc - now).days))  # none outlives its authority
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(_name(name), ca.subject, key, now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(one) for one in hosts]), critical=False)
    return _write(folder, f"{name}.pem", f"{name}.key", builder.sign(ca_key, hashes.SHA256()), key)


def expires(certificate_file: Path) -> datetime:
    """When the certificate in this file ends (UTC). Raises CertificateError."""
    return _load(certificate_file).not_valid_after_utc


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    if days < 1:
        raise CertificateError(f"a certificate for {days} days: expected at least 1; is the authority about to expire?")
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + timedelta(days=days))
    )


def _name(name: str) -> x509.Name:
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    except ValueError:
        raise CertificateError(f"the name {name[:80]!r}: expected 1 to 64 characters; choose a shorter one") from None


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        return x509.DNSName(text)
    except ValueError:
        raise CertificateError(f"--host {text[:80]!r}: expected a host name or an IP address") from None


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _read_authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    path = folder / CA_KEY
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as e:
        raise CertificateError(f"{path}: cannot be read ({e.strerror}); make one: zhian broker authority") from None
    except (ValueError, TypeError):
        raise CertificateError(f"{path}: expected a private key in PEM without a passphrase; make one anew") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError(f"{path}: expected an elliptic curve key; make one: zhian broker authority")
    return _load(folder / CA_CERTIFICATE), key


def _load(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as e:
        raise CertificateError(
            f"{path}: cannot be read ({e.strerror}); make it with zhian broker certificate"
        ) from None
    except ValueError:
        raise CertificateError(f"{path}: expected a certificate in PEM, got something else; make it anew") from None


def _write(
    folder: Path, certificate_name: str, key_name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> Path:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, content, mode in ((key_name, private, 0o600), (certificate_name, public, 0o644)):
            with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(content)
    except FileExistsError as e:
        raise CertificateError(f"{e.filename}: exists already and is not overwritten; choose another folder") from None
    except OSError as e:
        raise CertificateError(f"{folder}: cannot be written ({e.strerror}); choose another folder") from None
    return folder / certificate_name
