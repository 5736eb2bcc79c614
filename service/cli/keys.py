"""API keys. These commands work on the database directly, on the machine where the service runs."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from service.cli.configured import database
from service.cli.output import ExitCode, Json, ago, complain, err, out, print_json, table

app = typer.Typer(help="Make, list and revoke API keys (where the service runs).", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is, or what it is for.")],
    scopes: Annotated[
        list[str] | None,
        typer.Option("--scope", help="read, submit or admin; may be repeated.", show_default="read and submit"),
    ] = None,
) -> None:
    """Make a key and print its secret, which cannot be shown again."""
    from service.store.api_keys import create_key

    db = database()
    try:
        with db.write() as session:
            key, secret = create_key(session, name, scopes or ["read", "submit"])
            note = f"{key.id}, scopes {', '.join(map(str, key.scopes))}"
    except ValueError as error:
        complain(str(error))
        raise typer.Exit(ExitCode.USAGE) from error
    finally:
        db.close()
    err.print(f"[dim]{escape(note)}; keep the secret, it is not stored:[/]")
    out.print(secret)


@app.command("list")
def list_all(as_json: Json = False) -> None:
    """List keys."""
    from service.store.api_keys import list_keys

    db = database()
    with db.read() as session:
        keys = list_keys(session)
        rows = [(k.id, k.name, k.prefix, [str(scope) for scope in k.scopes], k.created_at, k.revoked_at) for k in keys]
    db.close()
    if as_json:
        names = ("id", "name", "prefix", "scopes", "created_at", "revoked_at")
        times = [(*row[:4], row[4].isoformat(), row[5].isoformat() if row[5] else None) for row in rows]
        print_json([dict(zip(names, row, strict=True)) for row in times])
        return
    grid = table("id", "name", "begins with", "scopes", "created", "")
    for key_id, name, prefix, scopes, created_at, revoked_at in rows:
        state = "[red]revoked[/]" if revoked_at else ""
        grid.add_row(key_id, escape(name), prefix, " ".join(scopes), ago(created_at), state)
    out.print(grid)


@app.command()
def revoke(key: Annotated[str, typer.Argument(help="Its id, or what it begins with in `keys list`.")]) -> None:
    """Revoke a key. It stops working at once."""
    from service.store.api_keys import revoke_key

    db = database()
    with db.write() as session:
        found = revoke_key(session, key)
        name = found.name if found else None
    db.close()
    if name is None:
        complain(f"there is no key {key!r}", hint="`spikesmith keys list` shows the keys.")
        raise typer.Exit(ExitCode.USAGE)
    err.print(f"the key of {escape(name)} is revoked")
