"""What crosses in a secret-sharing chain. `wire.messages` says how arrays are declared."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from spfedrec_cli.dtypes import I32, U8


@dataclass(frozen=True)
class ChainInvitation:
    """Server to a member of a secret-sharing chain: which one, of how many, and over which items its sum goes.

    Every message of a chain names it by (number, attempt).
    """

    kind: ClassVar[str] = "invitation"
    meaning: ClassVar[str] = "the chain's items: each member is told the union of all its requests"
    direction: ClassVar[str] = "down"
    round: int
    chain: Annotated[I32, "2"]
    members: Annotated[I32, "1"]  # how many
    union: Annotated[I32, "U"]  # ascending


@dataclass(frozen=True)
class ChainCommitment:
    """Member to aggregator: the hash of its contribution to the order and of its public key."""

    kind: ClassVar[str] = "commitment"
    meaning: ClassVar[str] = "the sealed contribution to the chain's order"
    direction: ClassVar[str] = "up"
    round: int
    chain: Annotated[I32, "2"]
    commitment: Annotated[U8, "32"]


@dataclass(frozen=True)
class ChainCommitments:
    """Aggregator to every member: all commitments, before anything is revealed."""

    kind: ClassVar[str] = "commitments"
    meaning: ClassVar[str] = "the sealed contributions of all members"
    direction: ClassVar[str] = "down"
    round: int
    chain: Annotated[I32, "2"]
    members: Annotated[I32, "C"]  # their ids, ascending
    commitments: Annotated[U8, "C 32"]


@dataclass(frozen=True)
class ChainReveal:
    """Member to aggregator: what it committed to."""

    kind: ClassVar[str] = "reveal"
    meaning: ClassVar[str] = "the contribution opened, and a public key for this attempt"
    direction: ClassVar[str] = "up"
    round: int
    chain: Annotated[I32, "2"]
    contribution: Annotated[U8, "32"]
    public_key: Annotated[U8, "32"]


@dataclass(frozen=True)
class ChainRoster:
    """Aggregator to every member: what all revealed, in the order of the commitments."""

    kind: ClassVar[str] = "roster"
    meaning: ClassVar[str] = "all contributions and public keys: they fix the order"
    direction: ClassVar[str] = "down"
    round: int
    chain: Annotated[I32, "2"]
    contributions: Annotated[U8, "C 32"]
    public_keys: Annotated[U8, "C 32"]


@dataclass(frozen=True)
class MaskedUpdate:
    """Member to aggregator: its payload under two masks. In place of `ClientUpdate`."""

    kind: ClassVar[str] = "masked"
    meaning: ClassVar[str] = "what the device learned, masked: its chain's sum is seen"
    direction: ClassVar[str] = "up"
    round: int
    chain: Annotated[I32, "2"]
    words: Annotated[I32, "N"]  # modulo 2^32
