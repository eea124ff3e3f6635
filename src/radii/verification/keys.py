"""Keys that sign seals: Ed25519, in PEM files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from radii.extras import imported

_EXTRA = "seal"


def new_key(path: Path) -> Path:
    """Makes a pair of keys, and overwrites nothing.

    Args:
        path: The private key, which its owner alone may read (mode 0600).

    Returns:
        The public key, `path` with `.pub` at its end.

    Raises:
        ValueError: If one of the files exists.
        RadiiError: If `cryptography` is not installed.
    """
    serialization, ed25519 = _library()
    public_path = path.with_name(f"{path.name}.pub")
    for each in (path, public_path):
        if each.exists():
            raise ValueError(f"a new key must be a new file, and {str(each)!r} exists")
    private = ed25519.Ed25519PrivateKey.generate()
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_new(
        path,
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        0o600,
    )
    _write_new(
        public_path,
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        0o644,
    )
    return public_path


def sign(content: bytes, private_key: Path) -> dict[str, str]:
    """The signature of a private key, with its public key, both in hex.

    Raises:
        ValueError: If the file is no such key.
        RadiiError: If `cryptography` is not installed.
    """
    serialization, ed25519 = _library()
    key = _loaded(private_key, lambda pem: serialization.load_pem_private_key(pem, None))
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise _no_key(private_key, "private")
    return {
        "algorithm": "ed25519",
        "public_key": _raw(key.public_key(), serialization).hex(),
        "signature": key.sign(content).hex(),
    }


def public_of(path: Path) -> str:
    """A public key in hex.

    Raises:
        ValueError: If the file is no such key.
        RadiiError: If `cryptography` is not installed.
    """
    serialization, ed25519 = _library()
    key = _loaded(path, serialization.load_pem_public_key)
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise _no_key(path, "public")
    return _raw(key, serialization).hex()


def signed_by(content: bytes, signature: str, public_key: str) -> bool:
    """Whether a signature is that of the key with this public key, both in hex.

    Raises:
        RadiiError: If `cryptography` is not installed.
    """
    _, ed25519 = _library()
    invalid = imported("cryptography.exceptions", _EXTRA).InvalidSignature
    try:
        key = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature), content)
    except (invalid, ValueError):
        return False
    return True


def _write_new(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _loaded(path: Path, load: Any) -> Any:
    try:
        return load(path.read_bytes())
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{str(path)!r} is no key in PEM: {error}") from None


def _raw(public: Any, serialization: Any) -> bytes:
    found: bytes = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return found


def _no_key(path: Path, kind: str) -> ValueError:
    return ValueError(
        f"{str(path)!r} must be a {kind} Ed25519 key in PEM; make one with `radii seal --new-key`"
    )


def _library() -> tuple[Any, Any]:
    where = "cryptography.hazmat.primitives"
    return (
        imported(f"{where}.serialization", _EXTRA),
        imported(f"{where}.asymmetric.ed25519", _EXTRA),
    )
