"""`spikesmith doctor`: what is installed, what can be found, what is reachable."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import typer
from rich.markup import escape

from service.cli.output import DEFAULT, ExitCode, Json, Url, connect, out, print_json, table
from service.client import ClientError, ServiceError, ServiceUnreachable

PACKAGES = ("torch", "celery", "fastapi", "sqlalchemy", "pydantic", "redis", "numpy", "scikit-learn")
MARKS = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "bad": "[red]bad[/]"}

# Torch is asked in a process of its own: this one never imports it.
ASK_TORCH = """
import torch
gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
print(f"{torch.__version__}, {', '.join(gpus) or 'CPU only'}, {torch.get_num_threads()} threads")
"""


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    verdict: Literal["ok", "note", "bad"]
    text: str


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Running the service")(doctor)


def doctor(as_json: Json = False, url: Url = DEFAULT) -> None:
    """Say what is installed, what is missing and whether the service is reachable."""
    findings = list(examine(url))
    if as_json:
        print_json([{"what": f.what, "verdict": f.verdict, "text": f.text} for f in findings])
    else:
        grid = table("verdict", "what", "text", wrap=["text"])
        grid.show_header = False
        for finding in findings:
            grid.add_row(MARKS[finding.verdict], finding.what, escape(finding.text))
        out.print(grid)
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(ExitCode.JOB_FAILED)


def examine(url: str) -> Iterator[Finding]:
    yield _python()
    yield _packages()
    checks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("torch", _torch),
        ("redis", _redis),
        ("settings", _state),
        ("data sets", _data),
    )
    for what, check in checks:
        try:
            yield check()
        except Exception as error:
            yield Finding(what, "bad", str(error) or type(error).__name__)
    yield _service(url)


def _python() -> Finding:
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return Finding("python", "ok" if sys.version_info >= (3, 11) else "bad", text)


def _packages() -> Finding:
    found, missing = [], []
    for package in ("spikesmith", *PACKAGES):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        return Finding("packages", "bad", f"missing: {', '.join(missing)}; `make clean` and start again")
    return Finding("packages", "ok", ", ".join(found))


def _torch() -> Finding:
    asked = subprocess.run([sys.executable, "-c", ASK_TORCH], capture_output=True, text=True, timeout=120)
    if asked.returncode != 0:
        last = asked.stderr.strip().splitlines()[-1:] or ["it cannot be imported"]
        return Finding("torch", "bad", last[0])
    return Finding("torch", "ok", asked.stdout.strip())


def _redis() -> Finding:
    from service.server.redis import RedisNotFound, find_redis_server
    from service.settings import Settings

    broker = Settings().broker_url
    if broker is not None:
        return Finding("redis", "ok", "BROKER_URL is set, no private Redis is started")
    try:
        return Finding("redis", "ok", find_redis_server())
    except RedisNotFound as error:
        return Finding("redis", "bad", str(error))


def _state() -> Finding:
    from service.settings import Settings

    settings = Settings()
    if settings.database_url is not None:
        from service.store.engine import database_url

        shown = database_url(settings.database_url).render_as_string(hide_password=True)
        return Finding("database", "ok", shown)
    home = settings.home.expanduser()
    nearest = next(folder for folder in (home, *home.parents) if folder.exists())
    if not os.access(nearest, os.W_OK):
        return Finding("database", "bad", f"{nearest} is not writable; set SPIKESMITH_HOME to a folder of yours")
    made = "" if home.exists() else " (made by the first start)"
    return Finding("database", "ok", f"SQLite in {home}{made}")


def _data() -> Finding:
    folders = [Path(part) for part in os.environ.get("SPIKESMITH_DATA", "").split(os.pathsep) if part]
    missing = [str(folder) for folder in folders if not folder.is_dir()]
    if missing:
        return Finding("data sets", "bad", f"SPIKESMITH_DATA names {', '.join(missing)}, which is no folder")
    if not folders:
        return Finding(
            "data sets", "ok", "SPIKESMITH_DATA is not set; what is not there is downloaded when a job needs it"
        )
    return Finding("data sets", "ok", f"looked for in {', '.join(map(str, folders))}")


def _service(url: str) -> Finding:
    with connect(url) as client:
        try:
            workers = client.workers()
        except ServiceUnreachable as error:
            return Finding("service", "note", f"not running: {error}")
        except ServiceError as error:
            return Finding("service", "note", f"{url} answers with {error.status}: {error.detail}")
        except ClientError as error:
            return Finding("service", "bad", str(error))
        ready = client.is_ready()
    count = "no worker" if not workers else f"{len(workers)} worker{'s' if len(workers) > 1 else ''}"
    return Finding("service", "ok" if ready else "note", f"{url}, {'ready' if ready else 'not ready'}, {count}")
