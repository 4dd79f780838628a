"""Which pseudo-labels were given, by hand: when they changed, and what the seeds say together in the end."""

import numpy as np

from pljax.results.pseudo_labels import COLUMNS, NEVER, GroupLabels, LabelHistory, add, count, table
from pljax.types import AssignedLabels


def seen(seeds, images, rounds):
    """Labels after rounds of (epoch, rows of each seed, labels of each seed)."""
    labels = LabelHistory(seeds, images)
    for epoch, rows, given in rounds:
        labels.update(epoch, AssignedLabels(np.array(rows, np.int32), np.array(given, np.int32)))
    return labels


def test_before_training_no_image_has_a_label_or_a_change():
    labels = LabelHistory(2, 3)
    for name in ("last", "first_change", "last_change"):
        assert getattr(labels, name).tolist() == [[-1] * 3] * 2
        assert getattr(labels, name).dtype == np.int32


def test_the_first_label_of_an_image_is_no_change():
    labels = seen(1, 3, [(5, [[0, 2]], [[1, 0]])])
    assert labels.last.tolist() == [[1, -1, 0]]
    assert (labels.first_change == NEVER).all()
    assert (labels.last_change == NEVER).all()


def test_the_first_and_the_last_change_are_those_of_each_seed():
    labels = seen(
        2,
        3,
        [
            (0, [[0, 1], [0, 2]], [[1, 1], [0, 0]]),
            (1, [[0, 1], [0, 2]], [[1, 2], [1, 0]]),
            (2, [[0, 1], [0, 2]], [[1, 1], [0, 0]]),
            (3, [[0, 1], [0, 2]], [[1, 1], [0, 2]]),
        ],
    )
    assert labels.last.tolist() == [[1, 1, -1], [0, -1, 2]]
    assert labels.first_change.tolist() == [[-1, 1, -1], [1, -1, 3]]
    assert labels.last_change.tolist() == [[-1, 2, -1], [2, -1, 3]]


def test_an_image_that_gets_no_label_keeps_its_last_one():
    labels = seen(1, 2, [(0, [[0, 1]], [[1, -1]]), (1, [[0, 1]], [[-1, 0]]), (2, [[0, 1]], [[2, 0]])])
    assert labels.last.tolist() == [[2, 0]]
    assert labels.first_change.tolist() == [[2, -1]]


def test_of_an_image_met_twice_the_last_label_counts():
    labels = seen(1, 1, [(0, [[0, 0]], [[1, 2]]), (1, [[0, 0]], [[1, 2]]), (2, [[0, 0, 0]], [[2, 2, 1]])])
    assert labels.last.tolist() == [[1]]
    assert labels.first_change.tolist() == labels.last_change.tolist() == [[2]]


def test_a_restored_history_is_independent_of_the_saved_one():
    labels = seen(1, 2, [(0, [[0, 1]], [[1, 1]]), (1, [[0, 1]], [[1, 0]])])
    other = LabelHistory(1, 2)
    other.restore(labels.state())
    labels.update(2, AssignedLabels(np.array([[0]]), np.array([[0]])))
    assert other.last.tolist() == [[1, 0]]
    assert other.last_change.tolist() == [[-1, 1]]


# ------------------------------------------------------------------------------------------------- a table


def labels_of(first, last):
    labels = LabelHistory(*np.shape(first))
    labels.first_change, labels.last_change = np.array(first, np.int32), np.array(last, np.int32)
    return labels


# Two groups, of two seeds and of one; four images. Image 0 is labelled for all, image 1 for seed 0, image 3 for seed 2.
GROUPS = [
    GroupLabels(
        np.array([[False, False, True, True], [False, True, True, True]]),
        np.array([[0, 2, 0, 2], [0, 2, 1, 2]]),
        np.array([[0.0, 0, 0], [0.1, 0.2, 0.7], [0.75, 1.0, 0.25], [0.25, 0.25, 1.5]], np.float32),
        labels_of([[1, 1, 7, -1], [1, 4, -1, -1]], [[9, 9, 8, -1], [9, 6, -1, -1]]),
    ),
    GroupLabels(
        np.array([[False, True, True, False]]),
        np.array([[0, 0, 1, 2]]),
        np.array([[0.0, 0, 0], [0.6, 0.3, 0.1], [0.25, 0.75, 0.0], [0.0, 0, 0]], np.float32),
        labels_of([[1, 3, 5, 0]], [[9, 3, 9, 0]]),
    ),
]


def rows_of(groups, names=("cat", "dog", "owl"), rows=()):
    return [dict(zip(COLUMNS, row, strict=True)) for row in table(count(groups), names, rows)]


def test_an_image_that_every_seed_had_labelled_has_no_row():
    assert [row["index"] for row in rows_of(GROUPS)] == [1, 2, 3]


def test_the_label_is_that_of_the_largest_mean_probability():
    labels = [(row["label"], row["confidence"]) for row in rows_of(GROUPS)]
    assert labels == [("owl", "0.4000"), ("dog", "0.5833"), ("owl", "0.7500")]  # 0.8 / 2, 1.75 / 3, 1.5 / 2


def test_a_seed_that_had_the_image_labelled_has_no_vote():
    votes = [(row["seeds_agree"], row["seeds"]) for row in rows_of(GROUPS)]
    assert votes == [(1, 2), (2, 3), (2, 2)]


def test_the_changes_are_the_first_and_the_last_of_the_seeds_that_have_a_vote():
    changes = [(row["first_change"], row["last_change"]) for row in rows_of(GROUPS)]
    assert changes == [(3, 6), (5, 9), ("", "")]


def test_the_order_of_the_groups_is_no_matter():
    assert rows_of(GROUPS[::-1]) == rows_of(GROUPS)


def test_the_totals_of_parts_add_up_to_those_of_the_whole():
    parts, whole = [count([group]) for group in GROUPS], count(GROUPS)
    for added in (add(parts), add(parts[::-1]), add([whole])):
        for name, expected in whole._asdict().items():
            np.testing.assert_array_equal(getattr(added, name), expected)
    assert whole.votes.tolist() == [[0, 0, 0], [1, 0, 1], [1, 2, 0], [0, 0, 2]]


def test_more_votes_than_a_byte_holds_are_counted():
    many = count([GROUPS[0]])._replace(seeds=np.full(4, 200, np.int32), votes=np.full((4, 3), 200, np.uint8))
    assert add([many, many]).votes.tolist() == 4 * [[400, 400, 400]]
    assert add([many, many]).seeds.tolist() == 4 * [400]


def test_an_image_goes_by_its_name_where_it_has_one():
    names = ("a.png", "b.png", "c/d.png", "e.png")
    assert [row["index"] for row in rows_of(GROUPS, rows=names)] == list(names[1:])


def test_where_nothing_was_unlabelled_there_are_no_rows():
    assert rows_of([group._replace(unlabelled=np.zeros_like(group.unlabelled)) for group in GROUPS]) == []
