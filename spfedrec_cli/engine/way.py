"""How an evaluation is made."""

from collections.abc import Sequence
from dataclasses import dataclass

from spfedrec_cli.errors import InputError, listed
from spfedrec_cli.retrieval.baselines import ALL, BASELINES, known


@dataclass(frozen=True)
class Way:
    """How an evaluation is made, in the words of `evaluate`. Raises InputError for what cannot be."""

    split: str = "test"
    ks: Sequence[int] | None = None
    baselines: bool | Sequence[str] = False
    protocol: str = "full"
    candidates: str = "all"
    checkpoint: str = "best"
    blend: bool = False
    second_stage: bool = False

    def __post_init__(self) -> None:
        for name in ("ks", "baselines"):
            said = getattr(self, name)
            if said is not None and not isinstance(said, bool):
                object.__setattr__(self, name, listed(said))
        if self.blend and self.split == "validation":
            problem = "The blend is fitted on validation, so it cannot be measured there"
            raise InputError(problem, hint="evaluate it on test")
        if self.second_stage and self.split == "validation":
            problem = "The second stage has its mix with the towers from validation, so it cannot be measured there"
            raise InputError(problem, hint="evaluate it on test")
        known(self.names)

    @property
    def every(self) -> bool:
        """Whether they were not asked for by their names."""
        return self.baselines is True or (not isinstance(self.baselines, bool) and ALL in self.baselines)

    @property
    def names(self) -> list[str]:
        """The baselines that are asked for."""
        if isinstance(self.baselines, bool):
            return list(BASELINES) if self.baselines else []
        return known(self.baselines)
