"""The secret-sharing chain written a second time, from docs/protocol.md alone: nothing of the package is imported.

    python tests/second_chain.py > tests/federated/aggregation/chain/golden.json

writes the golden transcript, with which an implementation in another language can be compared.
"""

import hashlib
import hmac
import json
import struct
import sys
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

PRIME = 2**255 - 19

INPUTS: dict[str, Any] = {
    "run": bytes(range(32)).hex(),
    "settings": bytes(range(64, 96)).hex(),
    "round": 3,
    "attempt": 1,
    "chain": 2,
    "range_query": 0.5,
    "range_item": 2.0,
    "qmax": 1000,
    "broadcast": bytes(range(32, 64)).hex(),
    "query": 3,
    "dim": 2,
    "union": [2, 5, 11],
    "pool": [7],
    "members": [
        {"id": 9, "payload": [1, -2, 3, 0, 0, 10, -11, 0, 0, 1000, -1000]},
        {"id": 70, "payload": [1000, 1000, 1000, 5, 6, 0, 0, 7, 8, 0, 0]},
        {"id": 300, "payload": [-1000, -1000, -1000, 0, 0, 0, 0, 1, 2, 3, 4]},
        {"id": 4000, "payload": [0] * 11},
    ],
}


def sha256(tag: str, *parts: bytes) -> bytes:
    return hashlib.sha256(b"SFR1 chain " + tag.encode() + b"\0" + b"".join(parts)).digest()


def u32(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def x25519(scalar: bytes, point: bytes) -> bytes:
    """RFC 7748, section 5."""
    k = int.from_bytes(scalar, "little") & ~7 & ~(1 << 255) | 1 << 254
    u = int.from_bytes(point, "little") & ~(1 << 255)
    x2, z2, x3, z3, swapped = 1, 0, u, 1, 0
    for bit in range(254, -1, -1):
        if swapped ^ (k >> bit & 1):
            x2, z2, x3, z3 = x3, z3, x2, z2
        swapped = k >> bit & 1
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a, b * b, d * a, c * b
        x3, z3 = (da + cb) ** 2 % PRIME, u * (da - cb) ** 2 % PRIME
        x2, z2 = aa * bb % PRIME, (aa - bb) * (aa + 121665 * (aa - bb)) % PRIME
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little")


def public_key(secret: bytes) -> bytes:
    return x25519(secret, (9).to_bytes(32, "little"))


def hkdf(shared: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 for 32 bytes: one block of output."""
    extracted = hmac.digest(salt, shared, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def mask(seed: bytes, length: int) -> list[int]:
    """AES-256-CTR from counter zero, block by block."""
    encrypt = Cipher(AES256(seed), ECB()).encryptor()
    blocks = [encrypt.update(counter.to_bytes(16, "big")) for counter in range(-(-length // 4))]
    return list(struct.unpack(f"<{4 * len(blocks)}I", b"".join(blocks))[:length])


def terms_digest(given: dict[str, Any]) -> bytes:
    return sha256(
        "terms",
        bytes.fromhex(given["run"]),
        bytes.fromhex(given["settings"]),
        u32(given["round"], given["attempt"], given["chain"], len(given["members"])),
        struct.pack("<dd", given["range_query"], given["range_item"]),
        u32(given["qmax"]),
        bytes.fromhex(given["broadcast"]),
        u32(given["query"], given["dim"], len(given["union"]), len(given["pool"])),
        u32(*given["union"], *given["pool"]),
    )


def message(kind: int, given: dict[str, Any], *arrays: tuple[int, int, int, bytes]) -> str:
    """Header, then (type, rows, columns, data); the first array of each is (chain, attempt)."""
    address = (1, 2, 0, u32(given["chain"], given["attempt"]))
    body = [struct.pack("<BII", *array[:3]) + array[3] for array in (address, *arrays)]
    return (b"SFR1" + struct.pack("<BIB", kind, given["round"], len(body)) + b"".join(body)).hex()


def transcript(given: dict[str, Any]) -> dict[str, Any]:
    """Everything that a chain computes and sends; all members' secrets are made of their ids."""
    ids, terms = [member["id"] for member in given["members"]], terms_digest(given)
    secrets = [hashlib.sha256(f"golden key {each}".encode()).digest() for each in ids]
    contributions = [hashlib.sha256(f"golden contribution {each}".encode()).digest() for each in ids]
    keys = [public_key(secret) for secret in secrets]
    rows = list(zip(ids, contributions, keys, strict=True))
    commitments = [sha256("commitment", terms, u32(each), c, k) for each, c, k in rows]
    roster = sha256("roster", terms, u32(len(ids)), *(u32(each) + c + k for each, c, k in rows))
    order = sorted(range(len(ids)), key=lambda place: sha256("order", roster, u32(ids[place])))
    seeds, uploads = {}, {}
    for place, this in enumerate(order):
        latter = order[(place + 1) % len(order)]
        shared = x25519(secrets[this], keys[latter])
        seeds[this] = hkdf(shared, roster, b"SFR1 chain mask\0" + u32(ids[this], ids[latter]))
    length = len(given["members"][0]["payload"])
    for place, this in enumerate(order):
        own, before = mask(seeds[this], length), mask(seeds[order[place - 1]], length)
        triples = zip(given["members"][this]["payload"], own, before, strict=True)
        uploads[this] = [(x - ahead + behind) % 2**32 for x, ahead, behind in triples]
    total = [sum(words) % 2**32 for words in zip(*uploads.values(), strict=True)]
    n = len(ids)
    return {
        "inputs": given,
        "terms_digest": terms.hex(),
        "members": [
            {
                "id": ids[place],
                "secret_key": secrets[place].hex(),
                "public_key": keys[place].hex(),
                "contribution": contributions[place].hex(),
                "commitment": commitments[place].hex(),
                "seed_shared_with_the_next": seeds[place].hex(),
                "its_first_words": mask(seeds[place], 4),
                "upload": uploads[place],
                "messages": {
                    "commitment": message(7, given, (2, 32, 0, commitments[place])),
                    "reveal": message(9, given, (2, 32, 0, contributions[place]), (2, 32, 0, keys[place])),
                    "masked": message(11, given, (1, length, 0, u32(*uploads[place]))),
                },
            }
            for place in range(n)
        ],
        "roster_digest": roster.hex(),
        "order": [ids[place] for place in order],
        "messages": {
            "invitation": message(6, given, (1, 1, 0, u32(n)), (1, len(given["union"]), 0, u32(*given["union"]))),
            "commitments": message(8, given, (1, n, 0, u32(*ids)), (2, n, 32, b"".join(commitments))),
            "roster": message(10, given, (2, n, 32, b"".join(contributions)), (2, n, 32, b"".join(keys))),
        },
        "total": [word - 2**32 if word >= 2**31 else word for word in total],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(transcript(INPUTS), indent=1) + "\n")
