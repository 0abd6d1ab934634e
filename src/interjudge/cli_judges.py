"""`interjudge judges`: what judges there are, and what decides their verdicts."""

from __future__ import annotations

from typing import Annotated

import typer

from interjudge import cli_screen as screen

judges_app = typer.Typer(help="What judges there are.", no_args_is_help=False)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(judges_app, name="judges")


@judges_app.callback(invoke_without_command=True)
def _judges(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_judges()


@judges_app.command("list", epilog="Example: `interjudge judges list`")
def list_judges() -> None:
    """Every judge that can be named, with what it measures."""
    from interjudge.cli_tables import print_judges
    from interjudge.judges.registry import listing

    print_judges(listing(), screen.console())


@judges_app.command("show", epilog="Example: `interjudge judges show keyword:default`")
def show_judge(
    name: Annotated[str, typer.Argument(help="As for `score -j`.")],
    json: Annotated[bool, typer.Option("--json", help="All of it, as JSON on stdout.")] = False,
) -> None:
    """All that decides the verdicts of one judge."""
    from interjudge.cli_tables import judge_json, print_judge
    from interjudge.datasets.write import write_text
    from interjudge.judges.registry import describe

    told = describe(name)
    if json:
        write_text(judge_json(told), "-")
    else:
        print_judge(told, screen.console())
