"""`pilotfish demo-rollout`: a policy rises on evidence, a bad version is stopped, a dead module comes back."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from pilotfish.exceptions import StateError

PLOT_FILE: Final = Path("pilotfish-rollout.png")
PLAIN_WIDTH: Final = 140
_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--json", "json_file", type=_FILE, help="Write the figures to this file.")
@click.option("--seed", default=0, show_default=True, help="Draws the order of the requests and of the modules.")
@click.option(
    "--plot", "plot_file", type=_FILE, default=PLOT_FILE, show_default=True, help="The story: .png, .svg or .pdf."
)
def demo_rollout(*, json_file: Path | None, seed: int, plot_file: Path) -> None:
    """Roll a policy out over real requests to nine language models, in a sidecar of its own.

    It begins with 5 % of the users and goes up by evidence alone. Then a model that has learned the opposite is
    promoted by force, and its guardrail takes it back. Then the favourite module dies, is ejected, and returns.
    """
    try:
        from rich.console import Console

        from pilotfish.simulate.rollout.plot import write_story
        from pilotfish.simulate.rollout.story import tell
    except ModuleNotFoundError as error:
        raise click.ClickException(f"the demo needs {error.name}: install pilotfish[demo]") from error
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    try:
        story = tell(console, seed)
    except StateError as error:
        raise click.ClickException(str(error)) from error
    console.print(_summary(story.figures, story.victim), highlight=False)
    if json_file is not None:
        json_file.write_text(json.dumps({"figures": story.figures, "lines": story.lines}, indent=2) + "\n")
    write_story(plot_file, story)
    console.print(f"Picture: {plot_file}", soft_wrap=True, highlight=False)


def _summary(figures: Mapping[str, float], victim: str) -> str:
    told = (
        "{tasks:.0f} tasks in {seconds:.0f} s. 5 % to 100 % in {rise_s:.0f} s; the bad version was back at 0 after"
        " {rollback_s:.1f} s and {harmed:.0f} tasks; {victim} was ejected {ejection_s:.1f} s after it died, got"
        " {dead_share:.1%} of the tasks while dead and was back {return_s:.1f} s after it healed.\n"
        "Mean quality {quality:.3f}; the hub's own choice {baseline_quality:.3f}."
    )
    return "\n" + told.format(victim=victim, **figures)
