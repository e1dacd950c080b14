"""Published vectors: X25519 of RFC 7748, HKDF-SHA256 of RFC 5869, AES-256-CTR of NIST SP 800-38A."""

import hashlib
import hmac

import pytest
import second_chain
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from spfedrec_cli.federated.aggregation.chain.masks import is_weak, key_pair, mask, seed

H = bytes.fromhex


@pytest.mark.parametrize(
    "scalar,point,product",
    [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ],
)
def test_x25519_rfc7748_section_5_2(scalar: str, point: str, product: str) -> None:
    exchanged = X25519PrivateKey.from_private_bytes(H(scalar)).exchange(X25519PublicKey.from_public_bytes(H(point)))
    assert exchanged.hex() == product
    assert second_chain.x25519(H(scalar), H(point)).hex() == product


def test_x25519_rfc7748_section_6_1() -> None:
    alice = H("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = H("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    shared = H("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    for (private, public), secret in ((key_pair(alice), alice), (key_pair(bob), bob)):
        assert public == second_chain.public_key(secret)
        assert private.private_bytes_raw() == secret
    assert key_pair(alice)[1].hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert key_pair(bob)[1].hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    assert key_pair(alice)[0].exchange(X25519PublicKey.from_public_bytes(key_pair(bob)[1])) == shared
    assert second_chain.x25519(bob, key_pair(alice)[1]) == shared


@pytest.mark.parametrize(
    "point",
    [
        "00" * 32,
        "01" + "00" * 31,
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    ],
)
@pytest.mark.parametrize("top_bit", [0, 0x80])
def test_points_of_low_order_are_refused(point: str, top_bit: int) -> None:
    """All of them: of orders 1, 2, 4 and 8, reduced or not, with the bit that RFC 7748 ignores or without it. Whatever
    the private key, the product is zero."""
    encoded = H(point)[:-1] + bytes([H(point)[-1] | top_bit])
    secret = hashlib.sha256(point.encode()).digest()
    assert second_chain.x25519(secret, encoded) == bytes(32)
    assert is_weak(encoded)
    with pytest.raises(ValueError, match=r"."):
        seed(key_pair(secret)[0], encoded, bytes(32), 1, 2)
    assert not is_weak(key_pair(secret)[1])


@pytest.mark.parametrize(
    "secret,salt,info,first",
    [
        (
            "0b" * 22,
            "000102030405060708090a0b0c",
            "f0f1f2f3f4f5f6f7f8f9",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
        ),
        (
            bytes(range(0x50)).hex(),
            bytes(range(0x60, 0xB0)).hex(),
            bytes(range(0xB0, 0x100)).hex(),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c",
        ),
        ("0b" * 22, "", "", "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"),
    ],
)
def test_hkdf_rfc5869_appendix_a(secret: str, salt: str, info: str, first: str) -> None:
    """Test cases 1 to 3; the first 32 bytes, which are the first block of the output."""
    assert HKDF(SHA256(), 32, H(salt), H(info)).derive(H(secret)).hex() == first
    assert second_chain.hkdf(H(secret), H(salt), H(info)).hex() == first


KEY = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
PLAIN = (
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
CIPHERTEXT = (
    "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
    "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"
)


def test_aes_256_ctr_sp800_38a_f_5_5() -> None:
    start = bytes(range(0xF0, 0x100))
    assert Cipher(AES256(H(KEY)), CTR(start)).encryptor().update(H(PLAIN)).hex() == CIPHERTEXT


def test_a_mask_is_the_keystream_from_counter_zero_in_little_endian_words() -> None:
    """Against AES block by block."""
    assert mask(H(KEY), 11).tolist() == second_chain.mask(H(KEY), 11)


def test_both_neighbours_derive_one_seed() -> None:
    one, two = (key_pair(hashlib.sha256(name).digest()) for name in (b"one", b"two"))
    roster = hashlib.sha256(b"roster").digest()
    shared = seed(one[0], two[1], roster, 4, 9)
    assert shared == seed(two[0], one[1], roster, 4, 9)
    assert shared != seed(one[0], two[1], roster, 9, 4)
    secret = one[0].exchange(X25519PublicKey.from_public_bytes(two[1]))
    extracted = hmac.digest(roster, secret, "sha256")
    info = b"SFR1 chain mask\0" + b"\x04\0\0\0" + b"\x09\0\0\0"
    assert shared == hmac.digest(extracted, info + b"\x01", "sha256")
