"""Job specs from JSON, YAML and TOML files, and what options such as `--set path=value` say."""

from __future__ import annotations

import json
import math
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

STDIN = "-"
MOST_SEEDS = 100_000


class BadFile(ValueError):
    """A file or an option that does not say what it should."""


class _Yaml12(yaml.SafeLoader):
    """YAML with the scalars of version 1.2, in which `1e-3` is a number, `no` a word, and dates are text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is not text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands there twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
):
    _Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


def _yaml_int(loader: _Yaml12, node: yaml.ScalarNode) -> int:
    text = node.value
    return int(text, 0) if text.startswith(("0o", "0x")) else int(text)


_Yaml12.add_constructor("tag:yaml.org,2002:int", _yaml_int)


def load_file(name: str) -> dict[str, Any]:
    """The mapping in a file, by its ending; `-` reads YAML (of which JSON is a part) from standard input."""
    if name == STDIN:
        return _checked(parse_yaml(sys.stdin.read(), "standard input"), "standard input")
    path = Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"cannot read {name}: {getattr(error, 'strerror', None) or error}") from error
    match path.suffix.lower():
        case ".json":
            content = _parse_json(text, name)
        case ".yaml" | ".yml":
            content = parse_yaml(text, name)
        case ".toml":
            try:
                content = tomllib.loads(text)
            except tomllib.TOMLDecodeError as error:
                raise BadFile(f"{name} is not valid TOML: {error}") from error
        case other:
            raise BadFile(f"{name}: a spec is a .json, .yaml or .toml file, not {other or 'one without an ending'}")
    return _checked(content, name)


def parse_yaml(text: str, origin: str) -> Any:
    try:
        return yaml.load(text, Loader=_Yaml12)
    except yaml.YAMLError as error:
        where = ""
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
            where = f" at line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
        problem = getattr(error, "problem", None) or str(error)
        raise BadFile(f"{origin} is not valid YAML{where}: {problem}") from error


def _parse_json(text: str, origin: str) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            names = [key for key, _ in items]
            raise BadFile(f"{origin}: {next(key for key in names if names.count(key) > 1)!r} stands there twice")
        return found

    try:
        return json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise BadFile(f"{origin} is not valid JSON at line {error.lineno}: {error.msg}") from error


def _checked(content: Any, origin: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise BadFile(f"{origin}: a job spec is a mapping with task, dataset, encoding and so on")
    for path, value in _leaves(content):
        if isinstance(value, float) and not math.isfinite(value):
            raise BadFile(f"{origin}: {path} is {value}, which is no number that JSON can carry")
        if not isinstance(value, str | int | float | bool | None):
            raise BadFile(f"{origin}: {path} is a {type(value).__name__}; write it as text or as a number")
    return content


def _leaves(value: Any, path: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{index}")
    else:
        yield path, value


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """`["training.epochs=5", ...]` as one nested mapping. Values are YAML: numbers, true, null, [1, 2], text."""
    changes: dict[str, Any] = {}
    for setting in settings:
        path, separator, text = setting.partition("=")
        parts = path.strip().split(".")
        if not separator or not all(parts):
            raise BadFile(f"--set {setting}: write it as path=value, for example training.epochs=5")
        value = parse_yaml(text, f"the value of --set {path}")
        _checked({path: value}, "--set")
        here = changes
        for part in parts[:-1]:
            here = here.setdefault(part, {})
            if not isinstance(here, dict):
                raise BadFile(f"--set {setting}: {part} was given a value of its own before")
        if isinstance(here.get(parts[-1]), dict) and not isinstance(value, dict):
            raise BadFile(f"--set {setting}: parts of {path} were set before")
        here[parts[-1]] = value
    return changes


def changed(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A document with what `parse_settings` read."""
    from snncore.spec import SpecError, deep_merge

    try:
        return deep_merge(document, changes)
    except SpecError as error:
        raise BadFile(f"--set {error}") from error


def parse_grid(options: Iterable[str]) -> dict[str, list[Any]]:
    """`["training.epochs=5,10", ...]` as paths with their values. Values are YAML, separated by commas."""
    grid: dict[str, list[Any]] = {}
    for option in options:
        path, separator, text = option.partition("=")
        path = path.strip()
        if not separator or not path or not text.strip():
            raise BadFile(f"--grid {option}: write it as path=value,value, for example training.epochs=5,10")
        if path in grid:
            raise BadFile(f"--grid {option}: {path} was given before; all its values go into one option")
        values = parse_yaml(f"[{text}]", f"the values of --grid {path}")
        _checked({path: values}, "--grid")
        grid[path] = values
    return grid


def parse_seeds(text: str) -> list[int]:
    """`0:5` (the last one left out, as in Python) or `0,1,2`, or both: `0:3,10`."""
    seeds: list[int] = []
    for part in text.split(","):
        first, colon, last = (piece.strip() for piece in part.partition(":"))
        numbers = [first, last] if colon else [first]
        if not all(number.isascii() and number.isdigit() and len(number) < 20 for number in numbers):
            raise BadFile(f"--seeds {text}: write them as 0:5 or 0,1,2")
        start, stop = int(first), int(last) if colon else int(first) + 1
        if not 0 < stop - start <= MOST_SEEDS:
            raise BadFile(f"--seeds {text}: {part} is not a range of 1 to {MOST_SEEDS} seeds")
        seeds += range(start, stop)
    return seeds


def parse_labels(texts: Iterable[str]) -> dict[str, str]:
    """`["study=1", ...]` as a mapping."""
    labels = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise BadFile(f"--label {text}: write it as key=value")
        labels[key] = value
    return labels
