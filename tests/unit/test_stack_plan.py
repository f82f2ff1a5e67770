"""The order of a start, and what one failure does to the rest."""

import threading

from headwater.model.errors import StackError
from headwater.stack import plan, probes
from headwater.stack.plan import Silent
from headwater.stack.program import Program, Task


def task(name, depends=(), run=lambda: None):
    return Task(name=name, run=run, depends=tuple(depends))


def test_a_step_starts_when_all_that_it_depends_on_is_done():
    order, lock = [], threading.Lock()

    def note(name):
        def run():
            with lock:
                order.append(name)

        return run

    steps = [
        task("sink", ["topics", "tables"], note("sink")),
        task("topics", ["kafka"], note("topics")),
        task("tables", ["postgres"], note("tables")),
        task("kafka", run=note("kafka")),
        task("postgres", run=note("postgres")),
    ]
    assert plan.run(steps, lambda program: "", Silent()) == []
    assert order.index("kafka") < order.index("topics") < order.index("sink")
    assert order.index("postgres") < order.index("tables") < order.index("sink")


def test_what_does_not_depend_on_each_other_runs_at_once():
    together = threading.Barrier(2, timeout=60)
    steps = [task("one", run=lambda: together.wait() and None), task("two", run=lambda: together.wait() and None)]
    assert plan.run(steps, lambda program: "", Silent()) == []


def test_a_failure_keeps_back_what_depends_on_it_and_nothing_else():
    ran = []

    def fail():
        raise StackError("no disk")

    steps = [
        task("kafka", run=fail),
        task("topics", ["kafka"], lambda: ran.append("topics")),
        task("bridge", ["topics"], lambda: ran.append("bridge")),
        task("valkey", run=lambda: ran.append("valkey")),
    ]
    failures = plan.run(steps, lambda program: "", Silent())
    assert [(one.name, str(one.error)) for one in failures] == [("kafka", "no disk")]
    assert ran == ["valkey"]
    assert plan.blocked(steps, failures) == ["bridge", "topics"]


def test_a_dependency_on_a_server_of_your_own_counts_as_met():
    ran = []
    plan.run([task("topics", ["kafka"], lambda: ran.append("topics"))], lambda program: "", Silent())
    assert ran == ["topics"]


def test_programs_are_brought_up_and_tasks_are_run():
    brought = []
    program = Program(name="valkey", command=("valkey-server",), probe=probes.nothing)
    plan.run([program, task("page")], lambda one: brought.append(one.name) or "up", Silent())
    assert brought == ["valkey"]
