"""What was read of a user's own data, for the terminal, ``result.json`` and the report."""

from collections.abc import Mapping, Sequence

from pljax.data.text import printable

MOST_CLASSES = 20  # that are listed

Counts = Mapping[str, Sequence[int]]


def data_lines(notes: Mapping[str, str], classes: Sequence[str], counts: Counts) -> dict[str, str]:
    """The lines that say what was read, by heading.

    Args:
      notes: see :class:`pljax.types.Dataset`.
      classes: the names of the classes, ``[C]``.
      counts: the rows of each class, ``[C]``, by part: labelled, validation and test. Parts without rows are left out.

    >>> data_lines({"file": "in UTF-16"}, ("cat", "dog"), {"labelled": [3, 2], "validation": [0, 0], "test": [9, 8]})
    {'file': 'in UTF-16', 'classes': 'cat 3 + 9, dog 2 + 8 (labelled + test)'}
    """
    parts = {part: of_part for part, of_part in counts.items() if sum(of_part)}
    of_classes = [
        f"{printable(name)} {' + '.join(map('{:,}'.format, of_class))}"
        for name, *of_class in zip(classes, *parts.values(), strict=True)
    ]
    more = f" and {len(classes) - MOST_CLASSES} more" if len(classes) > MOST_CLASSES else ""
    listed = f"{', '.join(of_classes[:MOST_CLASSES])}{more} ({' + '.join(parts)})"
    return {**{heading: printable(text) for heading, text in notes.items()}, "classes": listed}
