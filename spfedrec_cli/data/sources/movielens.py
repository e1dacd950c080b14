"""MovieLens as GroupLens ships it, in any of its layouts: 100K, 1M and 10M, or the CSV files of 20M, 25M, 32M and
latest-small. Every rating counts as a purchase."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data.fields import age_buckets
from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.raw import Attributes, Raw, Request, no_attributes, no_prices
from spfedrec_cli.data.reading.attributes import Described, read_attributes
from spfedrec_cli.data.reading.files import RawFile, exists, find, unpack
from spfedrec_cli.data.reading.kinds import CATEGORY, ids
from spfedrec_cli.data.reading.layout import Shape
from spfedrec_cli.data.reading.rules import rules
from spfedrec_cli.data.reading.scan import Scanned, Wanted, form_of, scan, taken
from spfedrec_cli.data.schema import NAME, TYPE
from spfedrec_cli.errors import InputError

_NUMBER = ids(FORMS["number"])
_GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
_AGE_RANGES = {
    "1": "0-17",
    "18": "18-24",
    "25": "25-34",
    "35": "35-44",
    "45": "45-49",
    "50": "50-55",
    "56": "56+",
}
_NOT_READ = 1 << 24  # bytes of a catalogue behind which its encoding is not looked for


def _age_ranges(codes: pa.DictionaryArray) -> pa.DictionaryArray:
    """The edition of 1M gives for each user's age the first year of a range (1 for all under 18): these ranges."""
    ranges = pa.array([_AGE_RANGES.get(code) for code in codes.dictionary.to_pylist()], pa.string())
    return pa.DictionaryArray.from_arrays(codes.indices, ranges)


@dataclass(frozen=True)
class Edition:
    """The files of one layout and what stands between their values.

    Columns are named in the order of the file; those of ratings are user, movie, rating and time. A file with a
    `header` has the same under its own names.
    """

    ratings: str
    movies: str
    users: str | None
    rating_columns: tuple[str, str, str, str]
    movie_columns: tuple[str, ...]
    user_columns: tuple[str, ...] = ()
    delimiters: tuple[str, str] = (",", ",")
    header: bool = False
    ages: Callable[[pa.DictionaryArray], pa.DictionaryArray] = age_buckets

    def shape(self, names: tuple[str, ...], delimiter: str, encoding: str | None) -> Shape:
        if self.header:
            return Shape(encoding=encoding)
        return Shape(names, delimiter=delimiter, quotes=False, encoding=encoding)

    def encoding(self, file: RawFile) -> str | None:
        """Titles are Latin-1 in 100K and 1M, UTF-8 in all others."""
        try:
            file.head(_NOT_READ).decode()
        except UnicodeDecodeError:
            return None if self.header else "latin-1"
        return None


EDITIONS = (
    Edition(
        ratings="u.data",
        movies="u.item",
        users="u.user",
        rating_columns=("user", "movie", "rating", "time"),
        movie_columns=("movie", "title", "released", "video", "link", *_GENRES),
        user_columns=("user", "age", "gender", "occupation", "zip"),
        delimiters=("\t", "|"),
    ),
    Edition(
        ratings="ratings.csv",
        movies="movies.csv",
        users=None,
        rating_columns=("userId", "movieId", "rating", "timestamp"),
        movie_columns=("movieId", "title", "genres"),
        header=True,
    ),
    Edition(
        ratings="ratings.dat",
        movies="movies.dat",
        users="users.dat",
        rating_columns=("user", "movie", "rating", "time"),
        movie_columns=("movie", "title", "genres"),
        user_columns=("user", "gender", "age", "occupation", "zip"),
        delimiters=("::", "::"),
        ages=_age_ranges,
    ),
)


def read(request: Request) -> Raw:
    """A folder or .zip archive of any edition. Raises InputError for what is missing or malformed."""
    file, edition = _ratings(request.input)
    user, movie, _, time = edition.rating_columns
    columns = {"client": (user, _NUMBER), "item": (movie, _NUMBER), "time": (time, CATEGORY)}
    tests = rules(request.reading, {"customer": user, "item": movie, "time": time})
    shape = edition.shape(edition.rating_columns, edition.delimiters[0], request.reading.encoding)
    wanted = Wanted(columns, (), tests, shape, with_lines=True)
    form = form_of(file, wanted, request)
    table = scan(file, wanted.at(form), request)
    once = _first_ratings(table, file, request)
    movies = file.sibling(edition.movies)
    users = file.sibling(edition.users) if edition.users else None
    absent = [name for name, found in ((edition.movies, movies), (edition.users, users)) if name and found is None]
    items, item_notes = _movies(movies, edition, request) if movies else (no_attributes(), [])
    clients, client_notes = _users(users, edition, request) if users else (no_attributes(), [])
    return Raw(
        client=once.texts("client"),
        item=once.texts("item"),
        time=once.columns["time"],
        price=no_prices(once.rows),
        items=items,
        clients=clients,
        time_unit=form.unit,
        notes=(
            *([form.note] if form.note else []),
            *table.notes,
            *item_notes,
            *client_notes,
            *(f"{name} is absent: ids only, no features" for name in absent),
        ),
    )


def _ratings(place: Path) -> tuple[RawFile, Edition]:
    """The first edition of which the place holds, or is, the ratings."""
    exists(place)
    for edition in EDITIONS:
        found = find(place, edition.ratings)
        names = edition.ratings, f"{Path(edition.ratings).stem}.parquet"
        if found or (place.is_file() and RawFile(place).name.lower() in names):
            return found or unpack(place), edition
    problem = f"There are none of {', '.join(edition.ratings for edition in EDITIONS)}"
    raise InputError(
        problem, where=str(place), hint="name the folder, or the .zip, that GroupLens serves, or call its files so"
    )


def _first_ratings(table: Scanned, file: RawFile, request: Request) -> Scanned:
    """Without rows whose user has rated the same movie before: a held-out movie must not also be a seen one."""
    users, movies = table.texts("client"), table.texts("item")
    pairs = users.indices.to_numpy().astype(np.int64) * len(movies.dictionary) + movies.indices.to_numpy()
    once = np.zeros(len(pairs), bool)
    once[np.unique(pairs, return_index=True)[1]] = True
    if once.all():
        return table
    for row in np.flatnonzero(~once).tolist():
        user, movie = users[row].as_py(), movies[row].as_py()
        problem = f"The user {user} rates the movie {movie} a second time"
        request.rejects.add(file, table.unit, int(table.lines[row]), problem, f"{user},{movie}")
    return Scanned(
        {role: taken(column, once) for role, column in table.columns.items()}, int(once.sum()), [], table.lines[once]
    )


def _movies(file: RawFile, edition: Edition, request: Request) -> tuple[Attributes, list[str]]:
    names = edition.movie_columns
    shape = edition.shape(names, edition.delimiters[1], request.reading.encoding or edition.encoding(file))
    table = read_attributes(file, (names[0], _NUMBER), names[1:], request, shape, needed=True)
    title = table.columns["title"]
    genres = table.columns["genres"] if "genres" in names else _genres(table)
    fields = {"year": _years(table.columns.get("released", title)), "genres": genres}
    return Attributes(table.ids, display={NAME: title, TYPE: genres}, fields=fields), table.notes


def _genres(table: Described) -> pa.Array:
    """The names of the columns that hold a 1, joined."""
    flags = [pc.equal(table.columns[genre].dictionary_decode(), "1").to_pylist() for genre in _GENRES]
    rows = zip(*flags, strict=True)
    return pa.array(["|".join(genre for genre, flag in zip(_GENRES, row, strict=True) if flag) for row in rows])


def _years(texts: pa.DictionaryArray) -> pa.Array:
    """The year that ends a date ("01-Jan-1995") or a title ("Toy Story (1995)"); "" where none does."""
    found = pc.extract_regex(texts.dictionary_decode(), r"[-–(](?P<year>[0-9]{4})\)?\s*$")
    return pc.fill_null(pc.struct_field(found, "year"), "")


def _users(file: RawFile, edition: Edition, request: Request) -> tuple[Attributes, list[str]]:
    names = edition.user_columns
    shape = edition.shape(names, edition.delimiters[1], request.reading.encoding)
    table = read_attributes(file, (names[0], _NUMBER), names[1:], request, shape)
    fields = {"gender": table.columns["gender"], "occupation": table.columns["occupation"]}
    return Attributes(table.ids, fields={"age_bucket": edition.ages(table.columns["age"]), **fields}), table.notes
