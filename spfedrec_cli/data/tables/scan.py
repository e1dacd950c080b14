"""The wanted columns of a large file in bounded memory, whatever its format."""

from collections.abc import Sequence

from spfedrec_cli.data.raw import Tell, silent
from spfedrec_cli.data.tables.files import RawFile
from spfedrec_cli.data.tables.gather import Scanned, Wanted
from spfedrec_cli.data.tables.parquet import parquet_rows, scan_parquet
from spfedrec_cli.data.tables.rejects import Rejects
from spfedrec_cli.data.tables.text import scan_text, text_lines


def scan(file: RawFile, wanted: Wanted, rejects: Rejects, tell: Tell = silent) -> Scanned:
    """Reads the wanted columns. Raises InputError for a damaged file, a missing column, and, unless they are skipped,
    at the first row that cannot be read."""
    return scan_parquet(file, wanted, rejects, tell) if file.is_parquet else scan_text(file, wanted, rejects, tell)


def lines_of(file: RawFile, wanted: Wanted, table: Scanned, rows: Sequence[int]) -> list[int]:
    """Where in the file (the line, or of Parquet the row) each of some rows of its `table` is. `rows` ascend."""
    return parquet_rows(table, rows) if file.is_parquet else text_lines(file, wanted, rows)
