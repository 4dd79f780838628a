"""Settings: frozen dataclasses whose fields are hyper-parameters, each declared once with its range and help.

The check of a value, the JSON, the command-line flag and the parameter of the estimator follow from the declaration.

Settings are pytrees. A number that changes no shape (a rate, a weight, a threshold) is a leaf: a new value needs no
compilation, and values can be stacked for ``vmap``. Everything else is part of the tree's structure.
"""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, Self, TypeVar, dataclass_transform

import jax

from pljax.types import InputError

MAX_INT = 2**31 - 1  # leaves become int32 in JAX
MAX_FLOAT = 3e38  # and float32

Tree = TypeVar("Tree")
Closed = Literal["left", "right", "both", "neither"]


class Declaration(NamedTuple):
    """The arguments of :func:`setting` but the default."""

    help: str
    low: float
    high: float
    closed: Closed
    traced: bool | None
    static: tuple[float, ...]
    flag: bool
    saved: bool


def setting(
    *,
    default: Any = dataclasses.MISSING,
    help: str,
    low: float = 0,
    high: float = MAX_FLOAT,
    closed: Closed = "left",
    traced: bool | None = None,
    static: tuple[float, ...] = (),
    flag: bool = True,
    saved: bool = True,
) -> Any:
    """Declare a field of :class:`Settings` as a hyper-parameter.

    Args:
      default: the default value; a field without one must be given.
      help: one line for ``--help``.
      low: the smallest value; of a tuple, the smallest length.
      high: the upper bound, the largest value of an ``int``.
      closed: which of the bounds are values of a ``float``; of an ``int`` both are.
      traced: whether the value is a leaf of the pytree, so that a new one needs no compilation; ``None``: floats are.
      static: values of a traced setting that are static, because they allow a simpler program.
      flag: ``False``: the setting has no command-line flag and is no parameter of the estimator.
      saved: ``False``: the setting is not written to JSON, because it changes the speed of a run and nothing else.
    """
    declared = Declaration(help, low, high, closed, traced, static, flag, saved)
    return dataclasses.field(default=default, metadata={"setting": declared})


_STATIC, _LEAF = "static", "leaf"


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(setting,))
class Settings:
    """The base class of settings. A subclass is a frozen dataclass with keyword arguments only, and a pytree.

    Fields can be of a class, a union of classes, a ``Literal``, or a tuple of classes. The constructor raises
    ``InputError`` for a value of another type or out of range, and ``TypeError`` where a field is of another kind.
    """

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
        """Raise ``InputError`` if the values are invalid together. Subclasses override it."""

    def prefix(self, field: str) -> str:
        """Return the prefix of the flags of a field and of the settings in it."""
        return ""

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, checked like a new one."""
        unchanged = {field.name: getattr(self, field.name) for field in _fields(self)}
        return type(self)(**{**unchanged, **changes})


def acts(value: Any) -> bool:
    """Whether the term of a weight or threshold is compiled: not if the value is the Python number 0.

    A traced value can be 0 or not, so its term is compiled.
    """
    return isinstance(value, jax.Array) or value > 0


def _fields(settings: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(settings)


def _is_leaf(field: dataclasses.Field[Any], value: Any) -> bool:
    declared: Declaration | None = field.metadata.get("setting")
    if declared is None:
        return isinstance(value, Settings | tuple)  # a subtree
    traced = field.type is float if declared.traced is None else declared.traced
    plain = isinstance(value, int | float)
    return traced and not (plain and value in declared.static)


def _flatten(node: Any) -> tuple[list[Any], tuple[Any, ...]]:
    leaves, static = [], []
    for field in _fields(node):
        value = getattr(node, field.name)
        if _is_leaf(field, value):
            # An int in a field of floats would be traced with another dtype, and compiled once more.
            leaves.append(float(value) if field.type is float and isinstance(value, int) else value)
            static.append((_LEAF, None))
        else:
            static.append((_STATIC, value))
    return leaves, tuple(static)


def _unflatten(cls: type[Any], static: tuple[Any, ...], leaves: Any) -> Any:
    """Build an instance without the check: under a transformation, leaves are tracers."""
    node, rest = object.__new__(cls), iter(leaves)
    for field, (kind, value) in zip(_fields(cls), static, strict=True):
        object.__setattr__(node, field.name, next(rest) if kind == _LEAF else value)
    return node


# ---- checks


def check(name: str, field: dataclasses.Field[Any], value: Any) -> None:
    """Raise ``InputError`` if a field cannot have this value. The message calls the field ``name``."""
    kind, declared = field.type, field.metadata.get("setting")
    if declared is None:
        _check_type(name, value, kind)
    elif kind is int:
        _check_count(name, value, declared)
    elif kind is float:
        _check_number(name, value, declared)
    elif typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        _require(value in choices, f"{name} is {value!r}: choose one of {', '.join(map(str, choices))}.")
    elif kind == tuple[int, ...]:
        _check_type(name, value, kind)
        _require(len(value) >= declared.low, f"{name} is empty: give at least one width.")
        for width in value:
            _check_count(name, width, declared._replace(low=1))
    else:
        _check_type(name, value, kind)
        if isinstance(value, tuple):
            _require(len(value) >= declared.low, f"{name} has {len(value)} items: give at least {declared.low:g}.")


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise InputError(sentence)


def _check_count(name: str, value: Any, declared: Declaration) -> None:
    whole, most = isinstance(value, int) and not isinstance(value, bool), int(min(declared.high, MAX_INT))
    least = int(declared.low)
    _require(whole and least <= value <= most, f"{name} is {value!r}: give a whole number from {least} to {most}.")


def _check_number(name: str, value: Any, declared: Declaration) -> None:
    low, high = declared.low, declared.high
    above, to = declared.closed in ("right", "neither"), declared.closed in ("right", "both")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    inside = number and (low < value if above else low <= value) and (value <= high if to else value < high)
    least = "above" if above else "of at least"
    most = "at most" if to else "below"
    _require(inside, f"{name} is {value!r}: give a number {least} {low:g} and {most} {high:g}.")


def _check_type(name: str, value: Any, kind: Any) -> None:
    if typing.get_origin(kind) is tuple:
        _require(isinstance(value, tuple), f"{name} is {value!r}: give a tuple.")
        of_items = typing.get_args(kind)
        if of_items[-1] is ...:
            of_items = of_items[:1] * len(value)
        _require(len(value) == len(of_items), f"{name} is {value!r}: give {len(of_items)} items.")
        for item, of_item in zip(value, of_items, strict=True):
            _check_type(f"an item of {name}", item, of_item)
        return
    kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if not all(isinstance(one, type) and typing.get_origin(one) is None for one in kinds):
        raise TypeError(f"{name} is declared as {kind}, which no setting can be: see Settings.")
    names = " or ".join("nothing" if one is type(None) else one.__name__ for one in kinds)
    whole = float in kinds and isinstance(value, int) and not isinstance(value, bool)
    _require(whole or isinstance(value, kinds), f"{name} is {value!r}: give {names}.")


# ---- overrides: settings of a protocol that a command-line flag changes


class Override(NamedTuple):
    """A setting that a flag can override."""

    name: str  # of the flag: that of the field, with the prefix of its phase
    field: dataclasses.Field[Any]
    value: Any  # the current value

    @property
    def help(self) -> str:
        """One line for ``--help``."""
        text = str(self.field.metadata["setting"].help)
        return text if self.name == self.field.name else f"in pre-training: {text}"

    @property
    def kind(self) -> Any:
        """The type of the field."""
        return self.field.type

    def check(self, value: Any) -> None:
        """Raise ``InputError`` if the setting cannot have this value."""
        check(self.name, self.field, value)


def overrides(node: Any, prefix: str = "") -> Iterator[Override]:
    """Yield the settings of a tree that flags can override.

    Several fields can have the flag of one name, those of two phases for example: it overrides all of them.
    """
    if isinstance(node, tuple):
        for item in node:
            yield from overrides(item, prefix)
    elif isinstance(node, Settings):
        for field in _fields(node):
            value, inner_prefix = getattr(node, field.name), prefix + node.prefix(field.name)
            declared = field.metadata.get("setting")
            if declared is None:
                yield from overrides(value, inner_prefix)
            elif declared.flag:
                yield Override(inner_prefix + field.name, field, value)


def override(node: Tree, values: Mapping[str, Any]) -> tuple[Tree, set[str]]:
    """Override settings of a tree by the names of their flags.

    All values are set before the check of values that belong together: new ``t1`` and ``t2`` may both be above the
    old ``t2``.

    Returns:
      ``node`` with the new values, and the names that exist in it; the others are ignored.

    Raises ``InputError`` for a value that a setting cannot have.

    >>> from pljax.protocols import quick
    >>> config, acted = override(quick.SCENARIOS["nn"], {"hidden": (50,), "alpha_f": 1.0})
    >>> config.phases[0].method.network.hidden, acted
    ((50,), {'hidden'})
    """
    by_name = {item.name: item for item in overrides(node)}
    acted = {name for name in values if name in by_name}
    for name in acted:
        by_name[name].check(values[name])
    return _replace(node, values, ""), acted


def _replace(node: Any, values: Mapping[str, Any], prefix: str) -> Any:
    if isinstance(node, tuple):
        return tuple(_replace(item, values, prefix) for item in node)
    if not isinstance(node, Settings):
        return node
    changed = {}
    for field in _fields(node):
        value, inner_prefix = getattr(node, field.name), prefix + node.prefix(field.name)
        declared = field.metadata.get("setting")
        if declared is None:
            changed[field.name] = _replace(value, values, inner_prefix)
        elif declared.flag and inner_prefix + field.name in values:
            changed[field.name] = values[inner_prefix + field.name]
    return node.replace(**changed)


def everywhere(node: Tree, name: str, value: Any) -> Tree:
    """Return ``node`` with all its fields called ``name``, with or without a flag, set to ``value``."""
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
    """Register a class, as a decorator, so that JSON can hold its instances.

    Raises ``ValueError`` if another class has its name.
    """
    known = _KINDS.get(kind.__name__, kind)
    if (known.__module__, known.__qualname__) != (kind.__module__, kind.__qualname__):
        raise ValueError(f"There is a {kind.__name__} already, in {known.__module__}: give yours another name.")
    _KINDS[kind.__name__] = kind
    return kind


def to_json(value: Any) -> Any:
    """Convert settings to JSON values: an object with the fields, and the name of the class as ``kind``.

    Raises ``InputError`` if the class is not registered.
    """
    if isinstance(value, Settings):
        kind = type(value).__name__
        _require(
            _KINDS.get(kind) is type(value),
            f"{kind} is not registered, so a run with it could not be read back: put @pljax.methods.register above it.",
        )
        fields = [
            field.name for field in _fields(value) if "setting" not in field.metadata or field.metadata["setting"].saved
        ]
        return {"kind": kind, **{name: to_json(getattr(value, name)) for name in fields}}
    return [to_json(item) for item in value] if isinstance(value, tuple) else value


def from_json(value: Any) -> Any:
    """Convert JSON values to settings, the inverse of :func:`to_json`. Raises ``InputError`` if they are invalid."""
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
    """Return the fields in which two trees of settings differ: the JSON values in both, by path.

    >>> from pljax.protocols import quick
    >>> config, _ = override(quick.SCENARIOS["pl"], {"alpha_f": 1.0})
    >>> differences(quick.SCENARIOS["pl"], config)
    {'phases.0.method.alpha_f': (3.0, 1.0)}
    """
    return dict(_differences("", to_json(one), to_json(other)))


def paths(settings: Any) -> list[str]:
    """Return the paths of all fields of a tree of settings, as :func:`differences` names them.

    >>> from pljax.protocols import quick
    >>> "phases.0.method.alpha_f" in paths(quick.SCENARIOS["pl"])
    True
    """
    return list(_paths("", to_json(settings)))


def _by_name(path: str, value: Any) -> Any:
    """The fields of a tree of settings by name, and phases by number; another value is returned as it is."""
    return dict(enumerate(value)) if path == "phases" and isinstance(value, list) else value


def _paths(path: str, value: Any) -> Iterator[str]:
    fields = _by_name(path, value)
    if isinstance(fields, dict):
        for name in fields:
            yield from _paths(f"{path}.{name}".removeprefix("."), fields[name])
    else:
        yield path


def _differences(path: str, one: Any, other: Any) -> Iterator[tuple[str, tuple[Any, Any]]]:
    here, there = _by_name(path, one), _by_name(path, other)
    if isinstance(here, dict) and isinstance(there, dict) and here.keys() == there.keys():
        for name in here:
            yield from _differences(f"{path}.{name}".removeprefix("."), here[name], there[name])
    elif one != other:
        yield path, (one, other)
