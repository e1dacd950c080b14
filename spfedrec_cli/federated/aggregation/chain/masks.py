"""The masks: X25519 (RFC 7748), HKDF-SHA256 (RFC 5869), AES-256-CTR (NIST SP 800-38A), all by PyCA cryptography."""

import struct

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from spfedrec_cli.dtypes import U32

WORD = np.dtype("<u4")
_PAIR = struct.Struct("<II")
_INFO = b"SFR1 chain mask\0"
_PROBE = X25519PrivateKey.from_private_bytes(bytes(32))  # nobody's secret: for `is_weak` any will do
_ZERO_BLOCK = bytes(16)  # a key makes one stream and is forgotten, so that its counter may start at zero


def key_pair(secret: bytes) -> tuple[X25519PrivateKey, bytes]:
    """A private key of 32 secret bytes, and the public key that belongs to it."""
    private = X25519PrivateKey.from_private_bytes(secret)
    return private, private.public_key().public_bytes_raw()


def seed(private: X25519PrivateKey, public_key: bytes, roster: bytes, former: int, latter: int) -> bytes:
    """The 32 bytes that two neighbours share; `latter` follows `former` in the circle.

    Raises ValueError for a public key of low order, whose shared secret would be zero.
    """
    shared = private.exchange(X25519PublicKey.from_public_bytes(public_key))
    return HKDF(SHA256(), 32, roster, _INFO + _PAIR.pack(former, latter)).derive(shared)


def is_weak(public_key: bytes) -> bool:
    """Whether a key is of low order: what it shares with anybody is zero."""
    try:
        _PROBE.exchange(X25519PublicKey.from_public_bytes(public_key))
    except ValueError:
        return True
    return False


def stream(seed: bytes) -> CipherContext:
    """The keystream of a seed, as a cipher that turns zeros into it."""
    return Cipher(AES256(seed), CTR(_ZERO_BLOCK)).encryptor()


def mask(seed: bytes, length: int) -> U32:
    """PRG(seed): so many words of the keystream, little-endian."""
    return np.frombuffer(stream(seed).update(bytes(WORD.itemsize * length)), WORD)
