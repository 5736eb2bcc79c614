"""The jobs and presets of a service that the tables are about, each asked for once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from service.cli.reproduction.differences import Difference, Differences, differences, leaves, resolved
from service.client import Client, Job, Preset, ServiceError
from snncore.presets.tables import Table
from snncore.spec import deep_merge

PAGE = 200
QUICK = "@quick"


def base_name(preset: str) -> str:
    """A preset without the name of its variant."""
    return preset.partition("@")[0]


class Holdings:
    """What a service has run, by preset, and what it could run."""

    def __init__(self, client: Client, tables: Iterable[Table]) -> None:
        self._client = client
        self.presets: dict[str, Preset] = {preset.name: preset for preset in client.presets()}
        named = {name for table in tables for row in table.rows for name in (row.preset, row.best) if name is not None}
        needed = {base_name(n) for preset in self.presets.values() for n in preset.needs.values()}
        self._wanted = named | needed
        self._jobs: dict[str, list[Job]] = {}
        self._by_id: dict[str, Job | None] = {}
        self._results: dict[str, dict[str, Any]] = {}
        # one walk over all pages: asking for each preset by name would be more requests, most of them for nothing
        for job in reversed(list(client.jobs(page_size=PAGE))):
            self.add(job)

    def add(self, job: Job) -> None:
        """Takes a job in, or its newer state. Later ones come first."""
        self._by_id[job.id] = job
        base = base_name(job.preset or "")
        if base in self._wanted:
            known = self._jobs.setdefault(base, [])
            known[:] = [job, *(one for one in known if one.id != job.id)]

    def jobs_of(self, preset: str) -> list[Job]:
        """Jobs of a preset and of its variants, newest first."""
        return self._jobs.get(base_name(preset), [])

    def result(self, job: Job) -> dict[str, Any]:
        if job.id not in self._results:
            self._results[job.id] = self._client.result(job.id)
        return self._results[job.id]

    def spec_of(self, preset: str, overrides: Mapping[str, Any]) -> dict[str, Any] | None:
        """The settings of a preset with overrides; None where the service has no such preset."""
        known = self.presets.get(preset)
        if known is None:
            return None
        spec = known.spec if known.spec is not None else self._client.preset(preset).spec
        return resolved(deep_merge(spec or {}, overrides))

    def differences(self, job: Job, preset: str, wanted: Mapping[str, Any]) -> Differences:
        """Where a job's settings differ from those of a preset, those of the jobs that it embeds included."""
        found = list(differences(wanted, resolved(job.spec)))
        needs = self.presets[preset].needs if preset in self.presets else {}
        spec = dict(leaves(job.spec))
        for path, needed in needs.items():
            found += self._inner_differences(path, needed, spec.get(path))
        return tuple(found)

    def _inner_differences(self, path: str, needed: str, job_id: str | None) -> Iterable[Difference]:
        inner = self._job(job_id) if job_id is not None else None
        wanted = self.spec_of(needed, {})
        if inner is None or wanted is None or base_name(inner.preset or "") != base_name(needed):
            yield Difference(path, needed, "unknown" if inner is None else inner.preset or "no preset")
            return
        for one in self.differences(inner, needed, wanted):
            yield Difference(f"{path}: {one.path}", one.wanted, one.found)

    def _job(self, job_id: str) -> Job | None:
        """A job by its id; None: it was deleted."""
        if job_id not in self._by_id:
            try:
                self._by_id[job_id] = self._client.job(job_id)
            except ServiceError as error:
                if error.status != 404:
                    raise
                self._by_id[job_id] = None
        return self._by_id[job_id]
