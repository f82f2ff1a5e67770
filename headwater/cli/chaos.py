"""`headwater chaos`: the running stack under random kills, with the plain reference beside it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from headwater.cli.show import console, told
from headwater.model.settings import Settings
from headwater.stack.state import State
from headwater.truth.chaos import Plan, Trial, verdict
from headwater.truth.load import Shape


def chaos(
    rounds: Annotated[int, typer.Option(help="rounds; with --in-turn, rounds of every target")] = 10,
    seed: Annotated[int, typer.Option(help="makes the choices repeatable")] = 1,
    target: Annotated[list[str] | None, typer.Option(help="only this program (repeat it: the more often)")] = None,
    in_turn: Annotated[bool, typer.Option("--in-turn", help="every target by turns, no pairs, no freezing")] = False,
    minutes: Annotated[float, typer.Option(help="no more rounds after this time")] = 60,
    devices: Annotated[int, typer.Option(help="devices of the load; each sends 100 readings a second")] = 10,
    pairs: Annotated[float, typer.Option(min=0, max=1, help="share of rounds with two kills at once")] = 0.15,
    flood: Annotated[float, typer.Option(help="how many times faster the load is while the broker is killed")] = 1,
    old_every: Annotated[int, typer.Option(help="rounds between uploads of old readings; 0: none")] = 3,
    audit: Annotated[bool, typer.Option(help="audit the log against the stores after each round")] = True,
    control: Annotated[bool, typer.Option("--control", help="take a stored row away: the trial must fail")] = False,
) -> None:
    """Kill random processes of the running stack under load; exit code 1 if a reading is lost, doubled or changed."""
    plan = Plan(
        rounds=rounds, seed=seed, minutes=minutes, targets=tuple(target or ()), in_turn=in_turn, pairs=pairs,
        flood=flood, old_every=old_every, audit=audit,
    )  # fmt: skip
    with told():
        trial = Trial(Settings(), State.load(), plan, Shape(devices=devices), f"chaos-{seed}", console.print)
        outcome = trial.run(control)
    console.print_json(json.dumps(verdict(outcome)))
    raise typer.Exit(0 if outcome.good else 1)
