"""The classifiers in the model store: `tellapart models`."""

import click

from cli.options import json_option
from cli.output import show, write_json
from tellapart.terminal import refuse_without_terminal

_NONE_YET = "No classifiers yet. Make one with: tellapart create NAME CLASS CLASS..."


@click.group()
def models() -> None:
    """List, show, promote, roll back and delete classifiers.

    TAG is NAME, whose promoted version it is, NAME:VERSION, or NAME:latest, the newest.

    \b
    tellapart models list
    tellapart models promote pets:VERSION
    """


@models.command("list")
@click.argument("name", required=False)
@json_option("the list")
def list_command(name: str | None, json_out: str | None) -> None:
    """List the classifiers in the model store, newest first."""
    from tellapart import store, tables

    found = store.list_models(name) or ([store.resolve(name)] if name else [])
    if json_out:
        write_json(json_out, [{"tag": m.tag, "promoted": m.promoted, **m.info.to_json()} for m in found])
    else:
        show(tables.models(found) if found else _NONE_YET)


@models.command("show")
@click.argument("tag")
@json_option("it")
def show_command(tag: str, json_out: str | None) -> None:
    """Show what is known of one classifier."""
    from tellapart import store, tables

    model = store.resolve(tag)
    if json_out:
        write_json(json_out, {"tag": model.tag, "promoted": model.promoted, **model.info.to_json()})
        return
    show(
        tables.trained(model),
        f"classes: {', '.join(model.info.class_names)}",
        f"backbone: {model.info.backbone} ({model.info.weights})",
        f"created: {model.info.created}",
    )


@models.command("promote", short_help="Let a version answer for its name.")
@click.argument("tag")
def promote_command(tag: str) -> None:
    """Let TAG (NAME:VERSION) answer requests for its name; running servers follow."""
    from tellapart import store

    show(f"{store.promote(tag).tag} answers now")


@models.command("rollback")
@click.argument("name")
def rollback_command(name: str) -> None:
    """Let the version of NAME that answered before answer again."""
    from tellapart import store

    show(f"{store.rollback(name).tag} answers now")


@models.command("delete")
@click.argument("tag")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete_command(tag: str, yes: bool) -> None:
    """Delete one exact version, NAME:VERSION."""
    from tellapart import store

    model = store.exact(tag)
    if not yes:
        refuse_without_terminal(f"whether {model.tag} is to be deleted", "Give --yes")
        click.confirm(f"Delete {model.tag}?", abort=True, err=True)
    show(f"{store.delete(model.tag).tag} is deleted")
    if model.promoted and (left := [m.tag for m in store.list_models() if m.name == model.name and m.promoted]):
        show(f"{left[0]} answers now")
