"""The result of a finished run: one scenario under one protocol, with all its seeds. A JSON file, no pickle."""

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pljax.data.serialization import write_json
from pljax.protocols.config import Config, from_json
from pljax.types import InputError

MONITORED_IMAGES = 1000  # unlabelled images, at most, on which accuracy is measured during training


@dataclasses.dataclass(frozen=True)
class Result:
    """The content of ``result.json``, for ``S`` seeds and ``C`` classes. ``None`` is the value of a diverged seed."""

    scenario: str
    protocol: str
    # name, digest, train, test, features (if not of an earlier version); of custom data also classes and notes: see
    # types.Dataset
    dataset: dict[str, Any]
    seeds: list[int]  # [S]
    test_accuracy: list[float | None]  # [S], a fraction
    test_error: list[float | None]  # [S], a fraction
    diverged: dict[str, str]  # by seed, the phase and epoch in which its loss or weights stopped being finite
    class_counts: dict[str, list[int]]  # labelled, validation (of the first seed), test: images of each class, [C]
    confusion: list[list[list[int]] | None]  # [S, C, C]: test images by true class (row) and predicted class (column)
    conditional_entropy: dict[str, list[float | None]]  # labelled, unlabelled, test: [S], in nats; eq. 17 of Lee (2013)
    # [S], of the final predictions for the unlabelled images; metrics.jsonl calls it unlabelled_accuracy
    pseudo_label_accuracy: list[float | None]
    unlabelled_training: dict[str, Any] | None  # accuracy before and after training on unlabelled images; else None
    parameters: int  # of the classifier of one seed
    config: dict[str, Any]  # the effective config; see pljax.settings.to_json
    warnings: list[str]
    versions: dict[str, str]
    device: dict[str, Any]
    seconds: dict[str, float]  # by phase, for all seeds together
    # [S], the share of the unlabelled images with a pseudo-label at the last evaluation; None: the last phase gives
    # none, or an earlier version wrote the result
    pseudo_label_coverage: list[float | None] | None = None

    def __post_init__(self) -> None:
        """Raise ``InputError`` if a field is not as described above."""
        for name, (is_valid, expected) in _FIELDS.items():
            _require(is_valid(getattr(self, name)), name, expected)
        change, count = self.unlabelled_training or {}, len(self.seeds)
        shares = {name: getattr(self, name) for name in ("test_accuracy", "test_error", "pseudo_label_accuracy")}
        shares |= {name: change[name] for name in ("before", "after") if change}
        if self.pseudo_label_coverage is not None:
            shares["pseudo_label_coverage"] = self.pseudo_label_coverage
        for name, column in {**shares, **self.conditional_entropy}.items():
            valid = _is_column(column, count, most=1 if name in shares else sys.float_info.max)
            _require(valid, name, "a number or null for each seed")
        without_accuracy = {
            str(seed) for seed, share in zip(self.seeds, self.test_accuracy, strict=True) if share is None
        }
        if self.tested:
            _require(
                set(self.diverged) == without_accuracy, "diverged", "a dict by seed, of those whose accuracy is null"
            )
        else:
            _require(
                len(without_accuracy) == len(self.seeds),
                "test_accuracy",
                "null for each seed: there are no test images",
            )
            _require(set(self.diverged) <= without_accuracy, "diverged", "a dict by seed, of the run's seeds")
        classes = {len(counts) for counts in self.class_counts.values()}
        _require(
            classes == {len(self.dataset.get("classes", self.class_counts["test"]))},
            "class_counts",
            "a count for each class",
        )
        tables = _is_list(self.confusion, lambda table: table is None or _is_table(table))
        sizes = {len(table) for table in self.confusion if table is not None} if tables else set()
        _require(
            tables and len(sizes) <= 1 and len(self.confusion) == count,
            "confusion",
            "a square table or null for each seed",
        )

    def save(self, path: Path) -> None:
        """Write the result as JSON. An interruption leaves the earlier file or the whole new one."""
        write_json(path, dataclasses.asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> "Result":
        """Read a result from ``result.json`` or from the folder that holds it.

        Raises ``InputError`` if it cannot be read or is not valid.
        """
        path = Path(path).expanduser()
        path = path / "result.json" if path.is_dir() else path
        try:
            values = json.loads(path.read_text())
        except OSError as error:
            raise InputError(f"No result can be read at {path}: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is no result of pljax: it is not JSON, {error}.") from error
        fields = {field.name for field in dataclasses.fields(cls)}
        needed = {field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING}
        wrong = sorted(needed - set(values) | set(values) - fields) if isinstance(values, dict) else ["everything"]
        if wrong:
            raise InputError(f"{path} is no result of pljax: {', '.join(wrong)} missing or unknown.")
        try:
            result = cls(**values)
            result.effective_config()
        except (InputError, RecursionError) as error:
            raise InputError(f"{path} is no result of pljax: {error}") from error
        return result

    @property
    def tested(self) -> bool:
        """Whether the run had test images."""
        return bool(self.dataset["test"])

    def effective_config(self) -> Config:
        """The config of the run."""
        return from_json(self.config)

    def accuracies(self) -> np.ndarray:
        """Test accuracies as fractions, float64 ``[S]``; NaN for a seed that diverged."""
        return np.array([np.nan if accuracy is None else accuracy for accuracy in self.test_accuracy], np.float64)


def check_seeds(seeds: Sequence[int]) -> None:
    """Raise ``InputError`` if these cannot be the seeds of a run."""
    _require(_is_seeds(list(seeds)), "seeds", _FIELDS["seeds"][1])


def name_seeds(seeds: Sequence[int]) -> str:
    """Name seeds in a sentence.

    >>> name_seeds(range(3, 6)), name_seeds([7])
    ('seeds 3 to 5', 'seed 7')
    """
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    consecutive = list(seeds) == list(range(seeds[0], seeds[0] + len(seeds)))
    return f"seeds {seeds[0]} to {seeds[-1]}" if consecutive else f"{len(seeds)} seeds"


def _require(valid: bool, name: str, expected: str) -> None:
    if not valid:
        raise InputError(f"{name} is not {expected}.")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _is_name(value: Any) -> bool:
    """Whether this is a text of a user's file: it can have any characters."""
    return isinstance(value, str)


def _is_count(value: Any, least: int = 0) -> bool:
    return type(value) is int and least <= value < 2**63


def _is_number(value: Any, most: float = sys.float_info.max) -> bool:
    return type(value) in (int, float) and 0 <= value <= most


def _is_plain(value: Any) -> bool:
    return value is None or _is_text(value) or _is_number(value)


def _is_list(value: Any, is_valid: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(is_valid, value))


def _is_dict(value: Any, is_valid: Callable[[Any], bool], keys: set[str] | None = None) -> bool:
    """Whether this is a dict from texts to valid values, with exactly these keys if they are given."""
    valid = isinstance(value, dict) and all(map(_is_text, value)) and all(map(is_valid, value.values()))
    return valid and (keys is None or set(value) == keys)


def _is_column(value: Any, count: int, most: float) -> bool:
    return _is_list(value, lambda item: item is None or _is_number(item, most)) and len(value) == count


def _is_table(value: Any) -> bool:
    return _is_list(value, lambda row: _is_list(row, _is_count) and len(row) == len(value))


def _is_data(value: Any) -> bool:
    complete = isinstance(value, dict) and {"name", "digest", "train", "test"} <= set(value)
    texts = complete and _is_text(value["name"]) and _is_text(value["digest"])
    notes = not complete or (
        _is_list(value.get("classes", []), _is_name) and _is_dict(value.get("notes", {}), _is_name)
    )
    counts = complete and all(_is_count(value.get(name, 1), least=1) for name in ("train", "features"))
    return texts and notes and counts and _is_count(value["test"])


def _is_seeds(value: Any) -> bool:
    valid = _is_list(value, lambda seed: type(seed) is int and 0 <= seed < 2**32)
    return valid and 0 < len(value) == len(set(value))


def _is_change(value: Any) -> bool:
    complete = value is None or (isinstance(value, dict) and set(value) == {"measured_on", "before", "after"})
    return complete and (value is None or _is_text(value["measured_on"]))


# For each field, the check of its value and the words for a valid value.
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "scenario": (_is_text, "a name"),
    "protocol": (_is_text, "a name"),
    "dataset": (_is_data, "the keys name, digest, train, test"),
    "seeds": (_is_seeds, "a list of different whole numbers from 0 to 2^32 - 1"),
    "diverged": (lambda value: _is_dict(value, _is_text), "a dict by seed"),
    "class_counts": (
        lambda value: _is_dict(value, lambda counts: _is_list(counts, _is_count)) and {"labelled", "test"} <= {*value},
        "a dict of whole numbers",
    ),
    "conditional_entropy": (lambda value: _is_dict(value, lambda _: True), "a dict by part"),
    "unlabelled_training": (_is_change, "null or the keys measured_on, before, after"),
    "parameters": (_is_count, "a whole number"),
    "config": (lambda value: isinstance(value, dict), "a dict"),
    "warnings": (lambda value: _is_list(value, _is_text), "a list of texts"),
    "versions": (lambda value: _is_dict(value, _is_text), "a dict of texts"),
    "device": (lambda value: _is_dict(value, _is_plain), "a dict of texts and numbers"),
    "seconds": (lambda value: _is_dict(value, _is_number), "a dict of numbers"),
}
