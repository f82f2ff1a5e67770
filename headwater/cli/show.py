"""What the operator sees: one line a step, with what it did and how long it took."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape

from headwater.model.errors import BadFields, HeadwaterError, StackError
from headwater.stack.plan import reason

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


class Steps:
    """A `headwater.stack.plan.Report` on the terminal. Steps run side by side, so each line is whole."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, str] = {}
        self._spinner = console.status("") if console.is_terminal else None
        if self._spinner:
            self._spinner.start()

    def _line(self, mark: str, name: str, text: str, seconds: float) -> None:
        with self._lock:
            self._running.pop(name, None)
            console.print(f" {mark} [bold]{name:<14}[/bold] {escape(text)} [dim]{seconds:6.1f} s[/dim]")
            self._show_running()

    def _show_running(self) -> None:
        if self._spinner:
            self._spinner.update(", ".join(self._running))

    def begun(self, name: str, says: str) -> None:
        """A step starts."""
        with self._lock:
            self._running[name] = says
            self._show_running()

    def done(self, name: str, says: str, seconds: float) -> None:
        """A step is done."""
        self._line("[green]✓[/green]", name, says, seconds)

    def failed(self, name: str, error: Exception, seconds: float) -> None:
        """A step failed: what, why, and what to do."""
        self._line("[red]✗[/red]", name, reason(error), seconds)

    def end(self) -> None:
        """Takes the spinner away."""
        if self._spinner:
            self._spinner.stop()


@contextmanager
def steps() -> Iterator[Steps]:
    """Steps whose spinner is gone at the end of the block, whatever happens."""
    shown = Steps()
    try:
        yield shown
    finally:
        shown.end()


@contextmanager
def told() -> Iterator[None]:
    """Errors raised on purpose become a line a fault and exit code 1; others are bugs and keep their traceback."""
    try:
        yield
    except BadFields as error:
        for fault in error.faults:
            errors.print(f"[red]✗[/red] {escape(': '.join(part for part in fault if part))}")
        raise typer.Exit(1) from None
    except HeadwaterError as error:
        errors.print(f"[red]✗[/red] {escape(str(error))}")
        raise typer.Exit(1) from None


@contextmanager
def flink_told() -> Iterator[None]:
    """The same, also when Flink is away."""
    with told():
        try:
            yield
        except OSError as error:
            raise StackError(f"Flink does not answer: {error}", "`headwater status`.") from error


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return time.monotonic() - self._begun
