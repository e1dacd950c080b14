"""Candidates, and what label weeks may see."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.errors import InputError
from spfedrec_cli.second_stage.candidates import MOST, candidates_of, families
from spfedrec_cli.second_stage.examples import Catalogue, Lists, Moments, examples
from spfedrec_cli.second_stage.features import columns
from spfedrec_cli.second_stage.past import Past
from spfedrec_cli.second_stage.public import public_at, weekly_buyers
from spfedrec_cli.second_stage.rows import Rows
from spfedrec_cli.second_stage.stored import kin_of, rows_of

N_ITEMS, UNTIL, WEEKS = 12, 100, 6  # two label weeks, from days 93 and 86
MOMENTS, ENDS = Moments((93, 86)), (5, 4)
SHOP = Catalogue(N_ITEMS, columns([], np.zeros((N_ITEMS, 0), np.int32), days=True), repeats=True)


def bought(seed: int, devices: int = 20) -> Rows:
    """Each of some devices on 30 of 100 days."""
    draw = np.random.default_rng(seed)
    items = Ragged.from_lengths(np.full(devices, 30), draw.integers(0, N_ITEMS, devices * 30))
    day = np.sort(draw.integers(0, UNTIL, (devices, 30)), 1).reshape(-1).astype(np.int32)
    return Rows(items, day, np.ones(devices * 30, np.int32))


def lists_of(rows: Rows, moments: Moments = MOMENTS, ends: tuple[int, ...] = ENDS, shop: Catalogue = SHOP) -> Lists:
    public = public_at(weekly_buyers(rows, N_ITEMS, UNTIL, WEEKS), ends, 4)
    return examples(rows, np.arange(len(rows)), moments, public, shop)


def test_candidates_are_own_items_siblings_and_what_is_popular(past: Past) -> None:
    """Items 0 and 1 are siblings, 2 and 3 too; item 4 has none. Item 4 is popular."""
    kin = np.array([0, 0, 1, 1, -1], np.int32)
    popular = np.full((3, 1), 4, np.int32)
    plain = candidates_of(past, popular, None, None, repeats=True)
    assert plain.tolist() == [1, 3, 4, 5 + 2, 5 + 4, 10 + 4]
    wider = candidates_of(past, popular, kin, families(kin), repeats=True)
    assert wider.tolist() == [0, 1, 2, 3, 4, 5 + 2, 5 + 3, 5 + 4, 10 + 4]
    unseen = candidates_of(past, popular, kin, families(kin), repeats=False)
    assert unseen.tolist() == [0, 2, 4, 5 + 3, 5 + 4, 10 + 4]


def test_a_family_is_cut() -> None:
    assert families(np.zeros(100, np.int32)).lengths.tolist() == [MOST]


def test_siblings_are_named_by_a_field_or_by_ids(synthetic_dataset: Dataset) -> None:
    field = synthetic_dataset.item_fields[0].name
    kin = kin_of(synthetic_dataset, field)
    assert kin is not None
    assert len(np.unique(kin)) > 1
    by_id = kin_of(synthetic_dataset, "id:2")
    assert by_id is not None
    alike = [id[:2] for id in synthetic_dataset.item_ids]
    assert all((by_id[0] == by_id[i]) == (alike[0] == alike[i]) for i in range(len(alike)))
    assert kin_of(synthetic_dataset, "") is None
    for wrong in ("colourr", "id:", "id:0", "id:x"):
        with pytest.raises(InputError, match=r"second_stage\.siblings"):
            kin_of(synthetic_dataset, wrong)


@given(seed=st.integers(0, 50), day=st.sampled_from(MOMENTS.starts))
def test_a_label_week_sees_nothing_of_itself_or_later(seed: int, day: int) -> None:
    """Whatever is bought from a label week on, the features of that week's lists and their candidates stay."""
    rows, number = bought(seed), MOMENTS.starts.index(day)
    other = bought(seed + 1000)
    later = rows.day >= day
    changed = replace(rows, items=Ragged(rows.items.offsets, np.where(later, other.items.values, rows.items.values)))
    found = [lists_of(each, Moments((day,)), (ENDS[number],)) for each in (rows, changed)]
    kept = [{int(owner): slice(*one.offsets[i : i + 2]) for i, owner in enumerate(one.owner)} for one in found]
    both = set(kept[0]) & set(kept[1])
    assert both
    for owner in both:
        np.testing.assert_array_equal(found[0].x[kept[0][owner]], found[1].x[kept[1][owner]])


def test_a_leak_would_be_seen() -> None:
    """The same lists with public sums of the label week itself are others."""
    rows = bought(0)
    one, leaking = lists_of(rows), lists_of(rows, ends=(6, 5))
    assert one.x.shape != leaking.x.shape or not np.array_equal(one.x, leaking.x)


def test_labels_are_what_was_bought_in_the_week() -> None:
    rows = bought(3)
    found = lists_of(rows, Moments((93,)), (5,))
    for number, owner in enumerate(found.owner.tolist()):
        mine = slice(*rows.items.offsets[owner : owner + 2])
        in_week = (rows.day[mine] >= 93) & (rows.day[mine] < UNTIL)
        wanted = set(rows.items.values[mine][in_week].tolist())
        assert 1 <= found.bought[slice(*found.offsets[number : number + 2])].sum() <= len(wanted)


def test_without_weeks_the_last_purchases_are_labels() -> None:
    """Of purchases 7, 8, 9 the last is a label of 7, 8, and 8 one of 7."""
    rows = Rows(Ragged.from_rows([[7, 8, 9], [7]]), np.array([1, 2, 3, 1], np.int32), np.ones(4, np.int32))
    moments = Moments((), by_order=2)
    spans = [moments.spans(rows, np.arange(2), each) for each in range(2)]
    assert [[part.tolist() for part in span] for span in spans] == [
        [[2, 0], [3, 1], [2, 0]],
        [[1, 0], [2, 0], [1, 0]],
    ]


def test_the_lists_of_a_device_do_not_depend_on_whom_else_is_asked() -> None:
    rows = bought(5)
    public = public_at(weekly_buyers(rows, N_ITEMS, UNTIL, WEEKS), ENDS, 4)
    together, alone = (examples(rows, np.array(which), MOMENTS, public, SHOP) for which in ([2, 7, 9], [7]))
    here = np.flatnonzero(together.owner == 1)
    part = slice(together.offsets[here[0]], together.offsets[here[-1] + 1])
    np.testing.assert_array_equal(together.x[part], alone.x)
    np.testing.assert_array_equal(together.bought[part], alone.bought)


def test_rows_of_a_dataset(synthetic_dataset: Dataset) -> None:
    rows = rows_of(synthetic_dataset, "train", "validation")
    assert rows.items.lengths.sum() == len(rows.day) == len(rows.counts)
    assert all((np.diff(rows.day[slice(*rows.items.offsets[c : c + 2])]) >= 0).all() for c in range(len(rows)))
    clients = np.arange(len(rows))
    before = rows.number_before(clients, int(rows.day.max()))
    expected = [int((rows.day[slice(*rows.items.offsets[c : c + 2])] < rows.day.max()).sum()) for c in clients]
    assert before.tolist() == expected
