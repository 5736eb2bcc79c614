"""Spec files in three languages, and `--set`."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.cli.specfile import BadFile, changed, load_file, parse_grid, parse_seeds, parse_settings


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("spec.json", '{"training": {"optimiser": {"learning_rate": 1e-3}, "epochs": 5}, "name": "é"}'),
        ("spec.yaml", "training:\n  optimiser: {learning_rate: 1e-3}\n  epochs: 5\nname: é\n"),
        ("spec.toml", 'name = "é"\n[training]\nepochs = 5\n[training.optimiser]\nlearning_rate = 1e-3\n'),
    ],
)
def test_the_same_spec_in_each_language(tmp_path: Path, name: str, text: str) -> None:
    expected = {"training": {"optimiser": {"learning_rate": 0.001}, "epochs": 5}, "name": "é"}
    assert load_file(write(tmp_path, name, text)) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 100_000.0),
        ("5", 5),
        ("010", 10),
        ("0x1F", 31),
        ("-2.5", -2.5),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("null", None),
        ("2026-01-01", "2026-01-01"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("'5'", "5"),
        ("", None),
        ("[1, 2.5, x]", [1, 2.5, "x"]),
        ("{kind: lif}", {"kind": "lif"}),
        ("a=b", "a=b"),
    ],
)
def test_values_are_those_of_yaml_1_2(text: str, value: object) -> None:
    parsed = parse_settings([f"a.b={text}"])["a"]["b"]
    assert parsed == value
    assert type(parsed) is type(value)


def test_settings_of_one_part_come_together_and_the_last_one_counts() -> None:
    assert parse_settings(["a.b=1", "a.c=2", "a.b=3", "d=4"]) == {"a": {"b": 3, "c": 2}, "d": 4}


def test_settings_reach_into_a_list_of_the_file_by_number() -> None:
    changes = parse_settings(["architecture.layers.1.rate=0.5"])
    document = {"architecture": {"layers": [{"kind": "spiking"}, {"kind": "dropout", "rate": 0.1}]}}
    assert changed(document, changes)["architecture"]["layers"][1] == {"kind": "dropout", "rate": 0.5}
    with pytest.raises(BadFile, match=r"--set architecture\.layers\.3: .* list of 2"):
        changed(document, parse_settings(["architecture.layers.3.rate=0.5"]))


@pytest.mark.parametrize(
    "settings", [["training.epochs"], ["=5"], ["a..b=5"], ["a=1", "a.b=2"], ["a.b=2", "a=1"], ["a=.nan"], ["a=[1"]]
)
def test_a_setting_that_makes_no_sense_is_refused(settings: list[str]) -> None:
    with pytest.raises(BadFile, match="--set"):
        parse_settings(settings)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("spec.yaml", "a: 1\na: 2\n", "line 2.*'a' stands there twice"),
        ("spec.json", '{"a": {"b": 1, "b": 2}}', "'b' stands there twice"),
        ("spec.json", '{"a": 1,\n}', "not valid JSON at line 2"),
        ("spec.yaml", "a: [1\n", "not valid YAML at line"),
        ("spec.yaml", "1: 2\n", "the key 1 is not text"),
        ("spec.toml", "a = \n", "not valid TOML"),
        ("spec.toml", "a = 2026-01-01\n", "a is a date"),
        ("spec.json", '{"a": [NaN]}', r"a\.0 is nan"),
        ("spec.yaml", "- 1\n", "a job spec is a mapping"),
        ("spec.yaml", "", "a job spec is a mapping"),
        ("spec.txt", "{}", "not .txt"),
        ("spec", "{}", "one without an ending"),
    ],
)
def test_a_file_that_is_no_spec_is_refused_with_the_place(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    with pytest.raises(BadFile, match=complaint):
        load_file(write(tmp_path, name, text))


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"missing\.yaml: No such file"):
        load_file(str(tmp_path / "missing.yaml"))
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9\n")
    with pytest.raises(BadFile, match=r"latin\.yaml"):
        load_file(str(tmp_path / "latin.yaml"))


def test_the_values_of_a_grid_are_yaml_between_commas() -> None:
    options = ["training.epochs=5,10", "neuron={kind: lif},{kind: alif}", "a.b=null,1e-3,x y", "c=[1, 2],[3]"]
    assert parse_grid(options) == {
        "training.epochs": [5, 10],
        "neuron": [{"kind": "lif"}, {"kind": "alif"}],
        "a.b": [None, 1e-3, "x y"],
        "c": [[1, 2], [3]],
    }


@pytest.mark.parametrize("option", ["training.epochs", "=1", "a=", "a={b: 1", "a=.nan"])
def test_a_grid_that_is_none_is_refused(option: str) -> None:
    with pytest.raises(BadFile, match="--grid"):
        parse_grid([option])


@pytest.mark.parametrize(
    ("text", "seeds"), [("0:5", [0, 1, 2, 3, 4]), ("3", [3]), ("7, 1,2", [7, 1, 2]), ("0:2,10:12", [0, 1, 10, 11])]
)
def test_seeds_are_numbers_and_ranges(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "5:5", "5:1", ":3", "0:", "1,,2", "0:100000000000"])
def test_seeds_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(BadFile, match="--seeds"):
        parse_seeds(text)
