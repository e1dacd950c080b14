"""Results as tables: for pandas, and as what a notebook shows of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


class Tabular(ABC):
    """A result that is a table too."""

    @abstractmethod
    def to_frame(self) -> "pd.DataFrame":
        """The result as a pandas.DataFrame."""

    def _repr_html_(self) -> str:
        """What a notebook shows: the table in pandas' own style, in which no text of anybody's data is markup."""
        import pandas as pd

        return str(self.to_frame().to_html(max_rows=pd.get_option("display.max_rows"), na_rep=""))


def frame(rows: Iterable[Mapping[str, Any]], index: str | None = None) -> "pd.DataFrame":
    """A row each of `rows`, NaN where one lacks a column; named by the column `index` where there is one."""
    import pandas as pd

    made = pd.DataFrame(list(rows))
    return made if index is None else made.set_index(index)


def by_name(rows: Mapping[str, Mapping[str, Any]], name: str) -> "pd.DataFrame":
    """The same of rows by their names, which `name` says the nature of."""
    return frame(({name: key, **row} for key, row in rows.items()), name)
