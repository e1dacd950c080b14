"""MovieLens as GroupLens ships it: 100K (u.data, u.item, u.user) or 1M (ratings.dat, movies.dat, users.dat).

Every rating counts as a purchase.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data.fields import age_buckets
from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.raw import Attributes, Raw, Request, no_attributes, no_prices
from spfedrec_cli.data.schema import NAME, TYPE
from spfedrec_cli.data.tables.attributes import Described, read_attributes
from spfedrec_cli.data.tables.files import RawFile, find, need
from spfedrec_cli.data.tables.gather import Scanned, Wanted
from spfedrec_cli.data.tables.kinds import SECOND, ids
from spfedrec_cli.data.tables.scan import lines_of, scan

_NUMBER = ids(FORMS["number"])
_GENRE_COLUMNS = (
    "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|"
    "Film-Noir|Horror|Musical|Mystery|Romance|Sci-Fi|Thriller|War|Western"
)
_GENRES = tuple(_GENRE_COLUMNS.split("|"))
_AGE_RANGES = {
    "1": "0-17",
    "18": "18-24",
    "25": "25-34",
    "35": "35-44",
    "45": "45-49",
    "50": "50-55",
    "56": "56+",
}
_RATING = ("user", "movie", "rating", "time")
_PURCHASES = {"client": ("user", _NUMBER), "item": ("movie", _NUMBER), "time": ("time", SECOND)}


@dataclass(frozen=True)
class Edition:
    """The names and layouts of one edition's files."""

    ratings: str
    movies: str
    users: str
    movie_columns: tuple[str, ...]
    user_columns: tuple[str, ...]
    rating_delimiter: str
    delimiter: str
    rewrite: Callable[[bytes], bytes]
    ages: Callable[[pa.DictionaryArray], pa.DictionaryArray]

    def layout(self, names: tuple[str, ...]) -> Wanted:
        return Wanted({}, (), names, self.delimiter, quotes=False, rewrite=self.rewrite)


def _latin(block: bytes) -> bytes:
    return block.decode("latin-1").encode()


def _age_ranges(codes: pa.DictionaryArray) -> pa.DictionaryArray:
    """The edition of 1M gives for each user's age the first year of a range (1 for all under 18): these ranges."""
    ranges = pa.array([_AGE_RANGES.get(code) for code in codes.dictionary.to_pylist()], pa.string())
    return pa.DictionaryArray.from_arrays(codes.indices, ranges)


def _single(block: bytes) -> bytes:
    """`::` between values becomes a tab, which pyarrow can split at."""
    return _latin(block).replace(b"::", b"\t")


EDITIONS = (
    Edition(
        ratings="u.data",
        movies="u.item",
        users="u.user",
        movie_columns=("movie", "title", "released", "video", "link", *_GENRES),
        user_columns=("user", "age", "gender", "occupation", "zip"),
        rating_delimiter="\t",
        delimiter="|",
        rewrite=_latin,
        ages=age_buckets,
    ),
    Edition(
        ratings="ratings.dat",
        movies="movies.dat",
        users="users.dat",
        movie_columns=("movie", "title", "genres"),
        user_columns=("user", "gender", "age", "occupation", "zip"),
        rating_delimiter="\t",
        delimiter="\t",
        rewrite=_single,
        ages=_age_ranges,
    ),
)


def read(request: Request) -> Raw:
    """A folder or .zip archive of either edition. Raises InputError for what is missing or malformed."""
    assert request.input is not None
    file, edition = _ratings(request.input)
    rewrite = edition.rewrite if edition.rewrite is _single else None
    wanted = Wanted(_PURCHASES, (), _RATING, edition.rating_delimiter, quotes=False, rewrite=rewrite)
    table = scan(file, wanted, request.rejects, request.tell)
    movies, users = file.sibling(edition.movies), file.sibling(edition.users)
    rated_twice = _second_ratings(table.texts("client"), table.texts("item"))
    if rated_twice.any():
        _reject_second_ratings(rated_twice, table, file, wanted, request)
    absent = [name for name, found in ((edition.movies, movies), (edition.users, users)) if found is None]
    once = ~rated_twice
    return Raw(
        client=table.texts("client").filter(pa.array(once)),
        item=table.texts("item").filter(pa.array(once)),
        time=table.columns["time"][once],
        price=no_prices(int(once.sum())),
        items=_movies(movies, edition, request) if movies else no_attributes(),
        clients=_users(users, edition, request) if users else no_attributes(),
        notes=tuple(f"{name} is absent: ids only, no features" for name in absent),
    )


def _ratings(place: Path) -> tuple[RawFile, Edition]:
    """The first edition of which the place holds the ratings."""
    for edition in EDITIONS:
        found = find(place, edition.ratings) if place.exists() else None
        if found is not None:
            return found, edition
    return need(place, EDITIONS[0].ratings), EDITIONS[0]


def _second_ratings(user: pa.DictionaryArray, movie: pa.DictionaryArray) -> npt.NDArray[np.bool_]:
    """Rows whose user has rated the same movie before (n,): a held-out movie must not also be a seen one."""
    pairs = user.indices.to_numpy().astype(np.int64) * len(movie.dictionary) + movie.indices.to_numpy()
    again = np.ones(len(pairs), bool)
    again[np.unique(pairs, return_index=True)[1]] = False
    return again


def _reject_second_ratings(
    again: npt.NDArray[np.bool_], table: Scanned, file: RawFile, wanted: Wanted, request: Request
) -> None:
    rows = np.flatnonzero(again)[: None if request.rejects.skip else 1].tolist()
    users, movies = table.texts("client"), table.texts("item")
    for row, line in zip(rows, lines_of(file, wanted, table, rows), strict=True):
        user, movie = users[row].as_py(), movies[row].as_py()
        problem = f"The user {user} rates the movie {movie} a second time"
        request.rejects.add(file, line, problem, f"{user},{movie}")


def _movies(file: RawFile, edition: Edition, request: Request) -> Attributes:
    names = edition.movie_columns
    table = read_attributes(file, (names[0], _NUMBER), names[1:], request, edition.layout(names))
    title = table.columns["title"]
    genres = table.columns["genres"] if "genres" in names else _genres(table)
    return Attributes(
        ids=table.ids,
        display={NAME: title, TYPE: genres},
        fields={"year": _years(table.columns.get("released", title)), "genres": genres},
    )


def _genres(table: Described) -> pa.Array:
    """The names of the columns that hold a 1, joined."""
    flags = [pc.equal(table.columns[genre].dictionary_decode(), "1").to_pylist() for genre in _GENRES]
    rows = zip(*flags, strict=True)
    return pa.array(["|".join(genre for genre, flag in zip(_GENRES, row, strict=True) if flag) for row in rows])


def _years(texts: pa.DictionaryArray) -> pa.Array:
    """The year that ends a date ("01-Jan-1995") or a title ("Toy Story (1995)"); "" where none does."""
    found = pc.extract_regex(texts.dictionary_decode(), r"(?P<year>[0-9]{4})\)?$")
    return pc.fill_null(pc.struct_field(found, "year"), "")


def _users(file: RawFile, edition: Edition, request: Request) -> Attributes:
    names = edition.user_columns
    table = read_attributes(file, (names[0], _NUMBER), names[1:], request, edition.layout(names))
    fields = {"gender": table.columns["gender"], "occupation": table.columns["occupation"]}
    return Attributes(table.ids, fields={"age_bucket": edition.ages(table.columns["age"]), **fields})
