"""The table of attacks. A new one is one file and one row here."""

from spfedrec_cli.audit.attack import Attack
from spfedrec_cli.audit.attacks import (
    alone,
    canaries,
    coherence,
    collinearity,
    colluding,
    counted,
    half_known,
    intersection,
    leaving,
    masked,
    membership,
    misled,
    only_buyer,
    popularity,
    pubpara,
    ranking,
    renewed,
    seated,
    shadow,
    shadow_updates,
    unions,
    zeros,
)

ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for attack in (
        popularity.ATTACK,
        coherence.ATTACK,
        shadow.ATTACK,
        intersection.ATTACK,
        renewed.ATTACK,
        unions.ATTACK,
        collinearity.ATTACK,
        zeros.ATTACK,
        pubpara.ATTACK,
        shadow_updates.ATTACK,
        ranking.PLAIN,
        masked.ATTACK,
        colluding.ATTACK,
        seated.ATTACK,
        counted.ATTACK,
        alone.ATTACK,
        half_known.WITH_SUM,
        misled.ATTACK,
        ranking.SUM,
        half_known.MODEL_ALONE,
        only_buyer.ATTACK,
        membership.PURCHASES,
        membership.CUSTOMERS,
        leaving.ATTACK,
        canaries.ATTACK,
    )
}
