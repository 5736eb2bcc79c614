"""The tables of the sources say what the presets say, and nothing that the presets do not know."""

from __future__ import annotations

import copy

import pytest

from snncore.presets import get_preset, list_presets
from snncore.presets.tables import Row, Table, list_tables
from snncore.spec import deep_merge, parse_job_spec

ROWS = [pytest.param(table, row, id=f"{table.id}: {row.label}") for table in list_tables() for row in table.rows]


def test_each_table_and_each_row_of_a_table_has_a_name_of_its_own() -> None:
    assert len({table.id for table in list_tables()}) == len(list_tables())
    for table in list_tables():
        assert len({row.label for row in table.rows}) == len(table.rows), table.id


def test_the_file_of_tables_is_no_preset() -> None:
    assert "tables" not in [preset.name for preset in list_presets()]


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_a_row_has_numbers_of_its_tables_metrics_only(table: Table, row: Row) -> None:
    names = {metric.name for metric in table.metrics}
    assert {*row.published, *row.ceiling} <= names


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_the_improved_preset_of_a_row_asks_for_the_same(table: Table, row: Row) -> None:
    if row.best is None:
        return
    source, best = (copy.deepcopy(get_preset(name).spec) for name in (row.preset, row.best))
    for part in (best["task"], source["task"]):  # the loss belongs to the training, the decision to the question
        part.pop("borders", None)
    assert best["task"] == source["task"]
    assert best["encoding"] == source["encoding"]
    assert best["architecture"] == source["architecture"]
    for part in (best["dataset"], source["dataset"]):  # as many samples, whether drawn anew or not
        part.pop("fresh", None)
    assert best["dataset"] == source["dataset"]


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_the_overrides_of_a_row_undo_nothing_of_its_improved_preset(table: Table, row: Row) -> None:
    if row.best is not None:
        spec = get_preset(row.best).spec
        assert deep_merge(spec, row.overrides) == spec


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_a_row_and_its_preset_publish_the_same_numbers(table: Table, row: Row) -> None:
    preset = get_preset(row.preset)
    if row.overrides:
        assert parse_job_spec(deep_merge(preset.spec, row.overrides))
        return
    said = [(preset.published, row.published), (preset.ceiling, row.ceiling)]
    for number, numbers in said:
        if number is not None and number.metric in numbers:
            assert numbers[number.metric] == number.value
