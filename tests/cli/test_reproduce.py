"""The tables of the sources, filled in from what a service holds."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.cli.reproduction.collect import FilledRow, collect
from service.cli.reproduction.differences import Difference, differences
from service.cli.reproduction.holdings import Holdings
from service.cli.reproduction.page import Marks, letters, render
from service.cli.reproduction.running import Runner, wanted_by
from service.client import Client
from service.store import jobs
from snncore.presets import get_preset
from snncore.presets.tables import Metric, Row, Table
from snncore.spec import deep_merge
from tests.cli.conftest import Outcome
from tests.cli.held import Service
from tests.client.scripted import Answer, Request, scripted

Spikesmith = Callable[..., Outcome]

EXP4 = "renner/softmax-exp-4"
ACCURACY = Metric("accuracy", "accuracy", "metrics.test.accuracy", 3, ceiling="metrics.test.ceiling_accuracy")
TABLE = Table("4.2", "Softmax", "Source", "size", (ACCURACY,), (Row("N = 4", EXP4, published={"accuracy": 0.957}),))


def result(accuracy: float, **more: float) -> dict[str, Any]:
    return {
        "metrics": {"test": {"accuracy": accuracy, "loss": 3.0, **more}},
        "firing": {"hidden": {"rate_hz": 120.0}},
        "cost": {"wall_time_s": 100.0},
        "environment": {"torch": "2.13.0", "threads": 1, "seed": 7},
    }


def filled(service: Service, table: Table = TABLE) -> FilledRow:
    with Client(service.url) as client:
        ((row,),) = (one.rows for one in collect(Holdings(client, [table]), [table]))
    return row


# --- settings -------------------------------------------------------------------------------------------------------


def test_what_says_where_a_job_runs_is_no_difference() -> None:
    wanted = get_preset(EXP4).spec
    found = {**wanted, "seed": 9, "device": "cpu", "recording": {"kind": "none"}}
    found["training"] = {**wanted["training"], "engine": "reference"}
    assert differences(wanted, found) == ()


def test_differences_name_path_and_both_values_and_null_is_as_good_as_absent() -> None:
    wanted = {"training": {"epochs": 50, "clip": None, "schedule": {"kind": "constant"}}}
    found = {"training": {"epochs": 5, "schedule": {"kind": "step", "factor": 0.8}}}
    assert differences(wanted, found) == (
        Difference("training.epochs", "50", "5"),
        Difference("training.schedule.factor", "", "0.8"),
        Difference("training.schedule.kind", '"constant"', '"step"'),
    )


# --- groups ---------------------------------------------------------------------------------------------------------


def test_seeds_of_the_same_settings_are_averaged_and_other_settings_stand_apart(held: Service) -> None:
    for seed, accuracy in enumerate((0.90, 0.92, 0.94)):
        held.run(result(accuracy), seed=seed, device="cpu", recording={"kind": "none"})
    held.run(result(0.5), training={"epochs": 2})
    held.run(result(0.6), training={"epochs": 2}, seed=1)
    held.run(result(0.1), training={"epochs": 2, "batch_size": 10})
    row = filled(held)
    assert [[one.path for one in line.differences] for line in row.lines] == [
        [],
        ["training.batch_size", "training.epochs"],
        ["training.epochs"],
    ]
    means = [line.ours.mean(ACCURACY.value) for line in row.lines]
    assert means == [pytest.approx(0.92), 0.1, pytest.approx(0.55)]
    assert row.lines[0].ours.sd(ACCURACY.value) == pytest.approx(0.02)
    assert row.lines[1].ours.sd(ACCURACY.value) is None


PROBABILITY = Metric("true_label_probability", "probability", "metrics.test.true_label_probability", 3)


def test_the_points_of_a_sweep_are_rows_with_metrics_of_their_own_choice(held: Service) -> None:
    kinds = ("triangle", "arctan", "zero")
    rows = tuple(Row(kind, "digits/surrogates", {"neuron": {"surrogate": {"kind": kind}}}) for kind in kinds)
    table = Table("surrogates", "Surrogates", "Source", "surrogate", (ACCURACY, PROBABILITY), rows)
    with Client(held.url) as client:
        sweep = client.submit_sweep(preset="digits/surrogates", seeds=[0, 1])
        for job in sweep.jobs:
            accuracy = 0.9 + 0.02 * job.seed if job.point["neuron.surrogate"]["kind"] == "arctan" else 0.5
            held.finish(job.id, result(accuracy, true_label_probability=accuracy / 2))
        found = collect(Holdings(client, [table]), [table])
    assert [len(line.ours.runs) for row in found[0].rows for line in row.lines] == [2, 2, 2]
    page = render(found, {})
    head = "| surrogate | accuracy: ours | probability: ours | seeds | wall time a job | preset |"
    line = "| arctan | 0.910 ± 0.014 | 0.455 ± 0.007 | 2 | 1:40 | `digits/surrogates` |"
    assert head in page
    assert line in page, page


def test_rows_that_differ_inside_a_list_are_told_apart(held: Service) -> None:
    def tau(ms: float) -> dict[str, Any]:
        return {"neuron": {"populations": {"0": {"neuron": {"tau_mem_ms": ms}}}}}

    rows = (Row("20 ms", "digits/lsnn", tau(20.0)), Row("10 ms", "digits/lsnn", tau(10.0)))
    table = Table("tau", "Membranes", "Source", "time constant", (ACCURACY,), rows)
    held.run(result(0.9), preset="digits/lsnn")
    held.run(result(0.8), preset="digits/lsnn", **tau(10.0))
    with Client(held.url) as client:
        (found,) = collect(Holdings(client, [table]), [table])
    means = [[line.ours.mean(ACCURACY.value) for line in row.lines] for row in found.rows]
    assert means == [[0.9], [0.8]]


def test_a_variant_with_rows_of_its_own_stands_there_alone(held: Service) -> None:
    base, quick = Row("full", "renner/softmax-exp-4"), Row("quick", "renner/softmax-exp-4@quick")
    held.run(result(0.9), preset=base.preset)
    held.run(result(0.8), preset=quick.preset)
    tables = [Table(row.label, "Title", "Source", "which", (ACCURACY,), (row,)) for row in (base, quick)]
    with Client(held.url) as client:
        holdings = Holdings(client, tables)
        both = collect(holdings, tables)
        (alone,) = collect(holdings, tables[:1])
    assert [[line.ours.mean(ACCURACY.value) for line in table.rows[0].lines] for table in both] == [[0.9], [0.8]]
    assert [line.ours.mean(ACCURACY.value) for line in alone.rows[0].lines] == [0.9, 0.8]


def test_a_seed_that_ran_twice_counts_once(held: Service) -> None:
    held.run(result(0.1))
    newest = held.run(result(0.9))
    (line,) = filled(held).lines
    assert [run.job.id for run in line.ours.runs] == [newest]


def test_jobs_that_did_not_succeed_and_jobs_of_other_presets_do_not_count(held: Service) -> None:
    with Client(held.url) as client:
        held.finish(client.submit(preset=EXP4).id, None)
        client.submit(preset=EXP4)
        held.finish(client.submit(get_preset(EXP4).spec).id, result(0.9))
    (line,) = filled(held).lines
    assert line.ours.runs == []


def test_a_job_behind_hundreds_of_others_is_found(held: Service) -> None:
    wanted = held.run(result(0.9))
    with held.database.write() as session:
        for _ in range(450):
            jobs.create(session, spec={})
    (line,) = filled(held).lines
    assert [run.job.id for run in line.ours.runs] == [wanted]


def test_rows_of_one_preset_are_told_apart_by_their_overrides(held: Service) -> None:
    rows = tuple(Row(f"{n} epochs", EXP4, overrides={"training": {"epochs": n}}) for n in (3, 4))
    table = Table("x", "title", "source", "head", (ACCURACY,), rows)
    of_three, of_four = held.run(result(0.3), training={"epochs": 3}), held.run(result(0.4), training={"epochs": 4})
    reduced = held.run(result(0.2), training={"epochs": 4, "batch_size": 10})
    held.run(result(0.1))
    with Client(held.url) as client:
        three, four = collect(Holdings(client, [table]), [table])[0].rows
    assert [[run.job.id for run in line.ours.runs] for line in three.lines] == [[of_three]]
    assert [[run.job.id for run in line.ours.runs] for line in four.lines] == [[of_four], [reduced]]


def test_the_improved_preset_has_a_column_of_its_own(held: Service) -> None:
    held.run(result(0.3), "digits/lsnn")
    row = filled(held, Table("x", "t", "s", "h", (ACCURACY,), (Row("row", EXP4, best="digits/lsnn"),)))
    assert row.has_best
    assert row.lines[0].ours.runs == []
    assert row.lines[0].improved.mean(ACCURACY.value) == 0.3


def test_the_page_says_what_an_improved_preset_changes_once_it_has_run(held: Service) -> None:
    table = Table("x", "t", "s", "h", (ACCURACY,), (Row("row", EXP4, best="digits/lsnn"),))
    assert cells(page(held, table), "row")[2] == "not run"
    held.run(result(0.3), "digits/lsnn")
    text = page(held, table)
    assert cells(text, "row")[1:3] == ["not run", "0.300"]
    changes = text[text.index("## What the improved presets change") :]
    assert "| `digits/lsnn` |" in changes
    assert "| `training.batch_size` | `50` |" in changes


# --- the page -------------------------------------------------------------------------------------------------------


def page(service: Service, table: Table = TABLE, **notes: str) -> str:
    with Client(service.url) as client:
        return render(collect(Holdings(client, [table]), [table]), {"4.2": "", **notes})


def cells(text: str, label: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_page_of_a_service_without_jobs_says_so(held: Service) -> None:
    text = page(held)
    assert cells(text, "N = 4") == ["N = 4", "0.957", "not run", "", "", f"`{EXP4}`"]
    assert "No job of these tables has succeeded yet." in text
    assert "All runs are those of the presets as they stand." in text


def test_the_page_has_means_marks_settings_environment_and_job_ids(held: Service) -> None:
    ids = [held.run(result(accuracy), seed=seed) for seed, accuracy in enumerate((0.90, 0.94))]
    ids.append(held.run(result(0.5), training={"epochs": 2}))
    text = page(held)
    assert cells(text, "N = 4") == ["N = 4", "0.957", "0.920 ± 0.028", "2", "1:40", f"`{EXP4}`"]
    assert cells(text, r"N = 4 (a)") == ["N = 4 (a)", "", "0.500", "1", "1:40", f"`{EXP4}`"]
    assert cells(text, "(a)") == ["(a)", "`training.epochs`", "`50`", "`2`"]
    assert cells(text, "jobs") == ["jobs", "torch", "threads"]
    assert cells(text, "3") == ["3", "2.13.0", "1"]
    comment = text[text.rindex("<!--") : text.rindex("-->")]
    assert all(job_id in comment for job_id in ids)


def test_a_measured_ceiling_replaces_the_one_in_brackets(held: Service) -> None:
    table = Table("4.2", "t", "s", "h", (ACCURACY,), (Row("N = 4", EXP4, ceiling={"accuracy": 0.971}),))
    assert cells(page(held, table), "N = 4")[1] == "(0.971)"
    held.run(result(0.9, ceiling_accuracy=0.9684))
    assert cells(page(held, table), "N = 4")[1] == "0.968"


def test_notes_stand_below_their_table(held: Service) -> None:
    text = page(held, **{"4.2": "It falls with N,\nas *published*.\n"})
    assert text.index("| N = 4 |") < text.index("It falls with N,\nas *published*.") < text.index("## Settings")


def test_letters_go_on_behind_z() -> None:
    assert [letters(number) for number in (0, 25, 26, 51, 52)] == ["a", "z", "aa", "az", "ba"]
    marks = Marks()
    one, other = (Difference("a", "1", "2"),), (Difference("b", "1", "2"),)
    assert [marks.of(one), marks.of(other), marks.of(one)] == ["a", "b", "a"]


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_writes_the_page_with_all_tables_and_the_notes_beside_it(
    held: Service, spikesmith: Spikesmith, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs" / "reproduction_notes").mkdir(parents=True)
    (tmp_path / "docs" / "reproduction_notes" / "4.5.md").write_text("A slip of the source.")
    monkeypatch.chdir(tmp_path)
    outcome = spikesmith("reproduce")
    assert (outcome.code, outcome.out) == (0, ""), outcome.err
    text = (tmp_path / "docs" / "reproduction.md").read_text()
    for title in ("## Table 4.2: Softmax", "## Table 4.8: The three", "## Store and recall", "## Sequential MNIST"):
        assert title in text
    assert text.index("## Table 4.5") < text.index("A slip of the source.") < text.index("## Table 4.7")
    assert spikesmith("reproduce").code == 0
    assert (tmp_path / "docs" / "reproduction.md").read_text() == text, "made again from the same jobs it is the same"


def test_one_table_is_printed_and_leaves_the_page_alone(
    held: Service, spikesmith: Spikesmith, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = spikesmith("reproduce", "--only", "4.3")
    assert outcome.code == 0
    assert "loss: published" in outcome.out
    assert "4.2" not in outcome.out
    assert not (tmp_path / "docs").exists()


def test_json_has_every_group_with_its_jobs(held: Service, spikesmith: Spikesmith) -> None:
    job_id = held.run(result(0.9))
    (table,) = json.loads(spikesmith("reproduce", "--json", "--only", "4.2").out)
    row = table["rows"][0]
    assert (row["preset"], row["published"]) == (EXP4, {"accuracy": 0.957})
    assert row["lines"][0]["ours"]["metrics"]["accuracy"] == {"mean": 0.9, "sd": None, "values": [0.9]}
    assert row["lines"][0]["ours"]["jobs"] == [job_id]
    assert row["lines"][0]["improved"] is None


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--quick"], 2, "--run"),
        (["--only", "9.9"], 2, "4.2, 4.3"),
        (["--only", "4.2"], 3, "no answer"),
    ],
)
def test_what_cannot_be_done_is_said(spikesmith: Spikesmith, arguments: list[str], code: int, words: str) -> None:
    outcome = spikesmith("reproduce", *arguments)
    assert outcome.code == code
    assert words in outcome.err


def test_a_page_that_cannot_be_written_is_bad_usage(held: Service, spikesmith: Spikesmith, tmp_path: Path) -> None:
    outcome = spikesmith("reproduce", "--out", str(tmp_path / "no" / "page.md"))
    assert outcome.code == 2
    assert "--out" in outcome.err


# --- running --------------------------------------------------------------------------------------------------------


@contextmanager
def working(service: Service, outcome_of: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Iterator[list[str]]:
    """Something that ends every queued job; the jobs in the order in which they were taken."""
    taken: list[str] = []
    over = threading.Event()

    def work() -> None:
        with Client(service.url) as client:
            while not over.wait(0.02):
                for job in client.jobs(state="queued"):
                    taken.append(job.id)
                    service.finish(job.id, outcome_of(job.spec))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield taken
    finally:
        over.set()
        thread.join()


@pytest.fixture
def one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single experiment in all tables."""
    monkeypatch.setattr("snncore.presets.tables.list_tables", lambda: [TABLE])


@pytest.mark.usefixtures("one_row")
def test_run_submits_each_missing_seed_once_and_waits(held: Service, spikesmith: Spikesmith) -> None:
    held.run(result(0.9), seed=1)
    with working(held, lambda spec: result(0.90 + 0.01 * spec["seed"])) as taken:
        first = spikesmith("reproduce", "--run", "--only", "4.2", "--json")
        again = spikesmith("reproduce", "--run", "--only", "4.2", "--json")
    assert (first.code, again.code, len(taken)) == (0, 0, 2), first.err
    assert "succeeded" in first.err
    (table,) = json.loads(first.out)
    line = table["rows"][0]["lines"][0]
    assert line["ours"]["seeds"] == [0, 1, 2]
    assert line["ours"]["metrics"]["accuracy"]["values"] == [0.90, 0.9, 0.92]
    assert json.loads(again.out) == [table]


@pytest.mark.usefixtures("one_row")
def test_a_run_that_fails_is_named_and_the_page_is_written_all_the_same(held: Service, spikesmith: Spikesmith) -> None:
    with working(held, lambda spec: None if spec["seed"] == 1 else result(0.9)):
        outcome = spikesmith("reproduce", "--run", "--only", "4.2", "--seeds", "2")
    assert outcome.code == 1
    assert f"{EXP4}, seed 1: job_" in outcome.err
    assert "the loss is not a number" in outcome.err
    assert cells(outcome.out, "N = 4")[2] == "0.900"


class Chain:
    """A service that answers like ours, in which `net/in-pool` needs a job of `net/alone`."""

    def __init__(self, outcome: str = "succeeded") -> None:
        self.outcome = outcome
        self.jobs: list[dict[str, Any]] = []
        self.most_in_flight = 0

    def __call__(self, request: Request) -> Answer:
        path = request.path.partition("?")[0]
        if request.method == "POST":
            return Answer(201, json.dumps(self._submit(json.loads(request.body))))
        if path == "/v1/presets":
            return self._page(self._presets())
        if path == "/v1/jobs":
            return self._page(self.jobs[::-1])
        if path.endswith("/result"):
            return Answer(200, json.dumps(result(0.9)))
        (job,) = (job for job in self.jobs if path.endswith(job["id"]))
        self.most_in_flight = max(self.most_in_flight, sum(one["state"] == "queued" for one in self.jobs))
        job["state"] = self.outcome
        return Answer(200, json.dumps(job))

    def _presets(self) -> list[dict[str, Any]]:
        embedded = {"architecture": {"embedded": {"weights": 1.0}}}
        return [
            {"name": "net/alone", "title": "", "spec": {"training": {"epochs": 5}}},
            {"name": "net/in-pool", "title": "", "spec": embedded, "needs": {"architecture.embedded.job": "net/alone"}},
            {"name": "net/alone@quick", "title": "", "spec": {"training": {"epochs": 1}}},
        ]

    def _submit(self, body: dict[str, Any]) -> dict[str, Any]:
        (preset,) = (one for one in self._presets() if one["name"] == body["preset"])
        spec = deep_merge(preset["spec"], body["overrides"])
        if "embedded" in spec.get("architecture", {}):
            spec["architecture"]["embedded"]["network"] = {"n_hidden": 50}
        job = {"id": f"job_{len(self.jobs)}", "state": "queued", "preset": body["preset"], "spec": spec}
        self.jobs.append({**job, "created_at": "2026-11-22T12:00:00Z"})
        return self.jobs[-1]

    def _page(self, items: list[dict[str, Any]]) -> Answer:
        return Answer(200, json.dumps({"items": items, "next_cursor": None}))


IN_POOL = Table("x", "t", "s", "h", (ACCURACY,), (Row("row", "net/in-pool"), Row("missing", "net/unheard-of")))


def run_chain(chain: Chain, seeds: int, max_parallel: int = 4) -> tuple[list[str], FilledRow]:
    with scripted(chain) as server, Client(server.url) as client:
        holdings = Holdings(client, [IN_POOL])
        runner = Runner(client, holdings, max_parallel=max_parallel, say=lambda line: None, poll_s=0.0)
        runner.run(wanted_by(holdings, [IN_POOL], seeds=seeds, quick=False))
        return runner.failed, collect(holdings, [IN_POOL])[0].rows[0]


def test_what_an_experiment_needs_runs_first_and_its_id_is_put_in() -> None:
    chain = Chain()
    failed, row = run_chain(chain, seeds=2)
    assert failed == []
    assert [job["preset"] for job in chain.jobs] == ["net/alone", "net/in-pool", "net/in-pool"]
    assert [job["spec"]["architecture"]["embedded"]["job"] for job in chain.jobs[1:]] == ["job_0", "job_0"]
    (line,) = row.lines
    assert [run.seed for run in line.ours.runs] == [0, 1]


def test_what_needs_a_run_that_failed_is_not_begun() -> None:
    chain = Chain(outcome="failed")
    failed, _ = run_chain(chain, seeds=1)
    assert [job["preset"] for job in chain.jobs] == ["net/alone"]
    assert failed == [
        "net/alone, seed 0: job_0 is failed",
        "net/in-pool, seed 0: it needs net/alone, which has not succeeded",
    ]


def test_quick_takes_the_variants_which_stand_apart_from_the_preset() -> None:
    chain = Chain()
    table = Table("x", "t", "s", "h", (ACCURACY,), (Row("row", "net/alone"), Row("slow only", "net/in-pool")))
    with scripted(chain) as server, Client(server.url) as client:
        holdings = Holdings(client, [table])
        wanted = wanted_by(holdings, [table], seeds=1, quick=True)
        Runner(client, holdings, max_parallel=1, say=lambda line: None, poll_s=0.0).run(wanted)
        row, other = collect(holdings, [table])[0].rows
    assert [job["preset"] for job in chain.jobs] == ["net/alone@quick"]
    assert [(line.differences, len(line.ours.runs)) for line in row.lines] == [
        ((), 0),
        ((Difference("training.epochs", "5", "1"),), 1),
    ]
    assert [line.ours.runs for line in other.lines] == [[]]


def test_no_more_jobs_are_under_way_than_allowed() -> None:
    chain = Chain()
    run_chain(chain, seeds=5, max_parallel=2)
    assert chain.most_in_flight == 2
    assert len(chain.jobs) == 6


def test_another_network_inside_is_another_setting() -> None:
    chain = Chain()
    alone = chain._submit({"preset": "net/alone", "overrides": {"training": {"epochs": 1}}})
    inside = {"architecture": {"embedded": {"job": alone["id"]}}}
    chain._submit({"preset": "net/in-pool", "overrides": inside})["state"] = "succeeded"
    unknown = {"architecture": {"embedded": {"job": chain._submit({"preset": "net/in-pool", "overrides": {}})["id"]}}}
    chain._submit({"preset": "net/in-pool", "overrides": unknown})["state"] = "succeeded"
    with scripted(chain) as server, Client(server.url) as client:
        lines = collect(Holdings(client, [IN_POOL]), [IN_POOL])[0].rows[0].lines
    assert [line.differences for line in lines] == [
        (),
        (Difference("architecture.embedded.job", "net/alone", "net/in-pool"),),
        (Difference("architecture.embedded.job: training.epochs", "5", "1"),),
    ]
