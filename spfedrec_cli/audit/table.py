"""The table of attacks. A new one is one file and one row here."""

from spfedrec_cli.audit.attack import Attack
from spfedrec_cli.audit.attacks import (
    alone,
    canaries,
    coherence,
    collinearity,
    colluding,
    half_known,
    intersection,
    masked,
    membership,
    only_buyer,
    popularity,
    shadow,
    zeros,
)

ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for attack in (
        popularity.ATTACK,
        coherence.ATTACK,
        shadow.ATTACK,
        intersection.ATTACK,
        collinearity.ATTACK,
        zeros.ATTACK,
        masked.ATTACK,
        colluding.ATTACK,
        alone.ATTACK,
        half_known.WITH_SUM,
        half_known.MODEL_ALONE,
        only_buyer.ATTACK,
        membership.PURCHASES,
        membership.CUSTOMERS,
        canaries.ATTACK,
    )
}
