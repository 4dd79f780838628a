"""Settings: frozen dataclasses whose fields are declared once, with a range and a line of help.

Everything else that must be known of a hyper-parameter follows from its declaration: the check when it is set, its
place in JSON, its flag and the parameter of the estimator.

Settings are pytrees. A number that changes no shape (a rate, a weight, a threshold) is a leaf: another value runs
through the same compiled program, and values can be stacked and mapped over. Everything else is part of the tree's
structure.
"""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, Self, TypeVar, dataclass_transform

import jax

from pljax.types import InputError

MOST = 2**31 - 1  # JAX counts in int32
LARGEST = 3e38  # and computes in float32

Tree = TypeVar("Tree")


class Declaration(NamedTuple):
    """What is known of a setting beside its name, type and default."""

    help: str
    low: float  # included, unless ``above``
    high: float  # excluded for a number, unless ``to``; included for a whole number
    above: bool
    to: bool
    traced: bool | None  # whether it is a leaf; ``None``: if it is a float
    special: tuple[float, ...]  # values that make a program of their own
    flag: bool  # whether it has a flag
    kept: bool  # whether it is part of the JSON


def setting(
    *,
    default: Any = dataclasses.MISSING,
    help: str,
    low: float = 0,
    high: float = LARGEST,
    above: bool = False,
    to: bool = False,
    traced: bool | None = None,
    special: tuple[float, ...] = (),
    flag: bool = True,
    kept: bool = True,
) -> Any:
    """A field that is a hyper-parameter.

    Args:
      default: its value where none is given; without one, it must be given.
      help: a line for people.
      low: the least value; ``above`` excludes it.
      high: the bound of the values, of a number only with ``to`` one of them.
      above: whether ``low`` is excluded.
      to: whether ``high`` is included.
      traced: whether another value runs through the same compiled program; if not given, floats do.
      special: values of a traced setting that do not, because they allow a simpler program.
      flag: whether it has a flag, and is a parameter of the estimator.
      kept: whether it is written to JSON; what only makes a run faster is not.
    """
    declared = Declaration(help, low, high, above, to, traced, special, flag, kept)
    return dataclasses.field(default=default, metadata={"setting": declared})


_STATIC, _LEAF = "static", "leaf"


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(setting,))
class Settings:
    """The base of all settings: a subclass is a frozen dataclass with keyword arguments, checked when it is made."""

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        kinds = typing.get_type_hints(cls)
        for field in _fields(cls):
            field.type = kinds[field.name]
        jax.tree_util.register_pytree_node(cls, _flatten, lambda static, leaves: _unflatten(cls, static, leaves))

    def __post_init__(self) -> None:
        for field in _fields(self):
            check(field.name, field, getattr(self, field.name))
        self.check()

    def check(self) -> None:
        """Raise ``InputError`` where settings do not go together. A subclass may say what does not."""

    def prefix(self, field: str) -> str:
        """What the flags of a field, or below it, begin with."""
        return ""

    def replace(self, **changes: Any) -> Self:
        """The same settings with some changed, checked anew."""
        unchanged = {field.name: getattr(self, field.name) for field in _fields(self)}
        return type(self)(**{**unchanged, **changes})


def _fields(settings: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(settings)


def _is_leaf(field: dataclasses.Field[Any], value: Any) -> bool:
    declared: Declaration | None = field.metadata.get("setting")
    if declared is None:
        return isinstance(value, Settings | tuple)  # a tree of its own
    traced = field.type is float if declared.traced is None else declared.traced
    plain = isinstance(value, int | float)
    return traced and not (plain and value in declared.special)


def _flatten(node: Any) -> tuple[list[Any], tuple[Any, ...]]:
    leaves, static = [], []
    for field in _fields(node):
        value = getattr(node, field.name)
        if _is_leaf(field, value):
            # A whole number in the place of any number would be a program of its own.
            leaves.append(float(value) if field.type is float and isinstance(value, int) else value)
            static.append((_LEAF, None))
        else:
            static.append((_STATIC, value))
    return leaves, tuple(static)


def _unflatten(cls: type[Any], static: tuple[Any, ...], leaves: Any) -> Any:
    """Without a check: under a transformation, leaves are no numbers."""
    node, rest = object.__new__(cls), iter(leaves)
    for field, (kind, value) in zip(_fields(cls), static, strict=True):
        object.__setattr__(node, field.name, next(rest) if kind == _LEAF else value)
    return node


# ---- checks


def check(name: str, field: dataclasses.Field[Any], value: Any) -> None:
    """Raise ``InputError``, one sentence that calls the field ``name``, if it cannot have this value."""
    kind, declared = field.type, field.metadata.get("setting")
    if declared is None:
        _check_type(name, value, kind)
    elif kind is int:
        _check_count(name, value, declared)
    elif kind is float:
        _check_number(name, value, declared)
    elif typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        _require(value in choices, f"{name} is {value!r}: choose one of {', '.join(choices)}.")
    elif kind == tuple[int, ...]:
        _check_type(name, value, kind)
        _require(len(value) >= declared.low, f"{name} is empty: give at least one width.")
        for width in value:
            _check_count(name, width, declared._replace(low=1))
    else:
        _check_type(name, value, kind)


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise InputError(sentence)


def _check_count(name: str, value: Any, declared: Declaration) -> None:
    whole, most = isinstance(value, int) and not isinstance(value, bool), int(min(declared.high, MOST))
    least = int(declared.low)
    _require(whole and least <= value <= most, f"{name} is {value!r}: give a whole number from {least} to {most}.")


def _check_number(name: str, value: Any, declared: Declaration) -> None:
    low, high, above, to = declared.low, declared.high, declared.above, declared.to
    number = isinstance(value, int | float) and not isinstance(value, bool)
    inside = number and (low < value if above else low <= value) and (value <= high if to else value < high)
    least = "above" if above else "of at least"
    most = "at most" if to else "below"
    _require(inside, f"{name} is {value!r}: give a number {least} {low:g} and {most} {high:g}.")


def _check_type(name: str, value: Any, kind: Any) -> None:
    if typing.get_origin(kind) is tuple:
        _require(isinstance(value, tuple), f"{name} is {value!r}: give a tuple.")
        for item in value:
            _check_type(f"an item of {name}", item, typing.get_args(kind)[0])
        return
    kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    names = " or ".join("nothing" if one is type(None) else one.__name__ for one in kinds)
    _require(isinstance(value, kinds), f"{name} is {value!r}: give {names}.")


# ---- overrides: the settings of a tree by the name of their flag


class Override(NamedTuple):
    """A setting that people turn, and what it is set to."""

    name: str
    field: dataclasses.Field[Any]
    value: Any

    @property
    def help(self) -> str:
        """A line for people."""
        told = str(self.field.metadata["setting"].help)
        return told if self.name == self.field.name else f"in pre-training: {told}"

    @property
    def kind(self) -> Any:
        """Its type."""
        return self.field.type

    def check(self, value: Any) -> None:
        """Raise ``InputError`` if the setting cannot have this value."""
        check(self.name, self.field, value)


def overrides(node: Any, prefix: str = "") -> Iterator[Override]:
    """The overrides of a tree of settings. The same one can come several times: setting it sets them all."""
    if isinstance(node, tuple):
        for item in node:
            yield from overrides(item, prefix)
    elif isinstance(node, Settings):
        for field in _fields(node):
            value, below = getattr(node, field.name), prefix + node.prefix(field.name)
            declared = field.metadata.get("setting")
            if declared is None:
                yield from overrides(value, below)
            elif declared.flag:
                yield Override(below + field.name, field, value)


def override(node: Tree, values: Mapping[str, Any]) -> tuple[Tree, set[str]]:
    """``node`` with some overrides set, and the names of those that found something to act on.

    Dials are set together, so that ``t1`` and ``t2`` may move past each other's old place.

    >>> from pljax.protocols import quick
    >>> config, acted = override(quick.SCENARIOS["nn"], {"hidden": (50,), "alpha_f": 1.0})
    >>> config.phases[0].method.network.hidden, acted
    ((50,), {'hidden'})
    """
    known = {flag.name: flag for flag in overrides(node)}
    acted = {name for name in values if name in known}
    for name in acted:
        known[name].check(values[name])
    return _replace(node, values, ""), acted


def _replace(node: Any, values: Mapping[str, Any], prefix: str) -> Any:
    if isinstance(node, tuple):
        return tuple(_replace(item, values, prefix) for item in node)
    if not isinstance(node, Settings):
        return node
    changed = {}
    for field in _fields(node):
        value, below = getattr(node, field.name), prefix + node.prefix(field.name)
        declared = field.metadata.get("setting")
        if declared is None:
            changed[field.name] = _replace(value, values, below)
        elif declared.flag and below + field.name in values:
            changed[field.name] = values[below + field.name]
    return node.replace(**changed)


def everywhere(node: Tree, name: str, value: Any) -> Tree:
    """``node`` with every field of a name, flag or not, set to a value."""
    if isinstance(node, tuple):
        return type(node)(everywhere(item, name, value) for item in node)
    if not isinstance(node, Settings):
        return node
    changed = {
        field.name: value if field.name == name else everywhere(getattr(node, field.name), name, value)
        for field in _fields(node)
    }
    return node.replace(**changed)


# ---- JSON

Kind = TypeVar("Kind", bound=type[Settings])
_KINDS: dict[str, type[Settings]] = {}


def register(kind: Kind) -> Kind:
    """Let settings of this class be written to JSON and read back. Raises ``ValueError`` for a name that is taken."""
    known = _KINDS.get(kind.__name__, kind)
    if (known.__module__, known.__qualname__) != (kind.__module__, kind.__qualname__):
        raise ValueError(f"There is a {kind.__name__} already, in {known.__module__}: give yours another name.")
    _KINDS[kind.__name__] = kind
    return kind


def to_json(value: Any) -> Any:
    """Settings as plain JSON values; each has its ``kind``. Raises ``InputError`` if its class is not registered."""
    if isinstance(value, Settings):
        kind = type(value).__name__
        _require(
            _KINDS.get(kind) is type(value),
            f"{kind} is not registered, so a run with it could not be read back: put @pljax.methods.register above it.",
        )
        fields = [
            field.name for field in _fields(value) if "setting" not in field.metadata or field.metadata["setting"].kept
        ]
        return {"kind": kind, **{name: to_json(getattr(value, name)) for name in fields}}
    return [to_json(item) for item in value] if isinstance(value, tuple) else value


def from_json(value: Any) -> Any:
    """The inverse of :func:`to_json`. Raises ``InputError`` on what are no settings."""
    if isinstance(value, list):
        return tuple(from_json(item) for item in value)
    if not isinstance(value, dict):
        return value
    kind = str(value.get("kind"))
    _require(
        kind in _KINDS,
        f"There is no {kind!r} in pljax: if it is a method of your own, import the file that registers it.",
    )
    try:
        return _KINDS[kind](**{name: from_json(item) for name, item in value.items() if name != "kind"})
    except TypeError as error:  # a field is missing or unknown
        raise InputError(f"This is no {kind} of pljax: {error}.") from error


def differences(one: Any, other: Any) -> dict[str, tuple[Any, Any]]:
    """The fields in which two trees of settings differ, by path, with their values in either.

    >>> from pljax.protocols import quick
    >>> config, _ = override(quick.SCENARIOS["pl"], {"alpha_f": 1.0})
    >>> differences(quick.SCENARIOS["pl"], config)
    {'phases.0.method.alpha_f': (3.0, 1.0)}
    """
    return dict(_differences("", to_json(one), to_json(other)))


def _differences(path: str, one: Any, other: Any) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other) and path == "phases":
        one, other = (dict(enumerate(phases)) for phases in (one, other))
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for name in one:
            yield from _differences(f"{path}.{name}".removeprefix("."), one[name], other[name])
    elif one != other:
        yield path, (one, other)
