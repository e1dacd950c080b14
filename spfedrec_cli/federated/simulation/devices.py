"""What lies on the devices of a simulation: no function of the server is given any of it."""

from dataclasses import dataclass

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.model.features import Features


@dataclass(frozen=True)
class Devices:
    """`purchased` holds the distinct training items of every client that lives in this process, by last purchase,
    oldest first; `fields` what each client's fields are."""

    purchased: Ragged
    fields: Features

    def __len__(self) -> int:
        return len(self.fields)
