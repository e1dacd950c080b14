"""MovieLens 100K as GroupLens ships it: a folder with u.data, u.item and u.user. Every rating counts as a purchase."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa

from spfedrec_cli.data.fields import age_buckets
from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.raw import Attributes, Raw, Request, no_attributes, no_prices
from spfedrec_cli.data.schema import NAME, TYPE
from spfedrec_cli.data.sources import columns
from spfedrec_cli.errors import InputError

_GENRE_COLUMNS = (
    "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|"
    "Film-Noir|Horror|Musical|Mystery|Romance|Sci-Fi|Thriller|War|Western"
)
_GENRES = _GENRE_COLUMNS.split("|")
_ITEM_WIDTH, _USER_WIDTH = 5 + len(_GENRES), 5


def read(request: Request) -> Raw:
    """The folder `request.input`. Raises InputError for what is missing or malformed."""
    assert request.input is not None
    path = columns.need(request.input, "u.data")
    table = columns.read(path, ("user", "movie", "time"), names=("user", "movie", "rating", "time"), delimiter="\t")
    movies = columns.find(request.input, "u.item")
    users = columns.find(request.input, "u.user")
    user, movie = table.ids("user", FORMS["number"]), table.ids("movie", FORMS["number"])
    _refuse_second_ratings(path, user, movie)
    absent = [name for name, found in (("u.item", movies), ("u.user", users)) if found is None]
    return Raw(
        client=user,
        item=movie,
        time=table.converted("time", columns.whole_numbers, "a number of seconds"),
        price=no_prices(len(table)),
        items=_movies(movies) if movies else no_attributes(),
        clients=_users(users) if users else no_attributes(),
        notes=tuple(f"{name} is absent: ids only, no features" for name in absent),
    )


def _refuse_second_ratings(path: Path, user: pa.DictionaryArray, movie: pa.DictionaryArray) -> None:
    """Seen movies leave the ranking, so that a held-out one must not have been rated before."""
    pairs = user.indices.to_numpy().astype(np.int64) * len(movie.dictionary) + movie.indices.to_numpy()
    order = np.argsort(pairs, kind="stable")
    second = np.flatnonzero(pairs[order][1:] == pairs[order][:-1])
    if len(second):
        row = int(order[second + 1].min())
        problem = f"The user {user[row]} rates the movie {movie[row]} a second time"
        raise InputError(problem, where=f"{path}, line {row + 1}", hint="remove that line")


def _movies(path: Path) -> Attributes:
    rows = _rows(path, _ITEM_WIDTH)
    genres = ["|".join(genre for genre, flag in zip(_GENRES, row[5:], strict=True) if flag == "1") for row in rows]
    return Attributes(
        ids=pa.array([row[0] for row in rows], pa.string()),
        display={NAME: pa.array([row[1] for row in rows], pa.string()), TYPE: pa.array(genres, pa.string())},
        fields={
            "year": pa.array([row[2][-4:] for row in rows], pa.string()),
            "genres": pa.array(genres, pa.string()),
        },
    )


def _users(path: Path) -> Attributes:
    rows = _rows(path, _USER_WIDTH)
    return Attributes(
        ids=pa.array([row[0] for row in rows], pa.string()),
        fields={
            "age_bucket": age_buckets(row[1] for row in rows),
            "gender": pa.array([row[2] for row in rows], pa.string()),
            "occupation": pa.array([row[3] for row in rows], pa.string()),
        },
    )


def _rows(path: Path, width: int) -> list[list[str]]:
    with columns.refusals(path), columns.open_text(path, encoding="latin-1") as file:
        rows = list(csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE))
    for number, row in enumerate(rows, 1):
        if row and len(row) != width:
            problem = f"The line has {len(row)} columns instead of {width}"
            raise InputError(problem, where=f"{path}, line {number}", hint="mend or remove that line")
    return [row for row in rows if row]
