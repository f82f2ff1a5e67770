"""The rules of the house that a linter cannot know."""

import re
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from headwater.model import settings, topics
from headwater.model.pack import REASONS
from headwater.stack import sinks

ROOT = Path(__file__).resolve().parents[2]
BINARY = {".png", ".ico", ".woff2", ".svg"}


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    found = [ROOT / line for line in listed.stdout.splitlines()]
    return [path for path in found if path.is_file() and path.suffix not in BINARY]


def offenders(pattern: str, paths: list[Path]) -> list[str]:
    """`path:line: text` for each line that matches."""
    rule = re.compile(pattern)
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if rule.search(line)
    ]


def setting_classes() -> list[type[settings.Settings]]:
    def below(kind: type[settings.Settings]) -> list[type[settings.Settings]]:
        return [kind, *(leaf for child in kind.__subclasses__() for leaf in below(child))]

    for one in sinks.found():
        import_module(one.module)  # a sink may have settings of its own
    return below(settings.Settings)


def test_every_setting_is_in_the_docs_with_its_default_and_no_other():
    documented = re.findall(r"^\| `(HEADWATER_\w+)` \|", (ROOT / "docs/settings.md").read_text(), re.M)
    in_code = {f"HEADWATER_{name.upper()}" for kind in setting_classes() for name in kind.model_fields}
    stack_only = set(documented) - in_code
    read_by_the_stack = "\n".join(path.read_text() for path in tracked("headwater/**/*.py", "tools/*", "Makefile"))
    assert in_code <= set(documented), f"not in docs/settings.md: {sorted(in_code - set(documented))}"
    unknown = [name for name in stack_only if name not in read_by_the_stack and not name.endswith("_PORT")]
    assert not unknown, f"in docs/settings.md, but nothing reads it: {unknown}"


def test_every_setting_says_what_it_is_for():
    for kind in setting_classes():
        for name, field in kind.model_fields.items():
            assert field.description, f"{kind.__name__}.{name} has no description"


def test_every_reason_of_refusal_is_in_the_docs():
    text = (ROOT / "docs/guarantees.md").read_text()
    missing = [reason for reason in REASONS if f"`{reason}`" not in text]
    assert not missing, f"not in docs/guarantees.md: {missing}"


@pytest.mark.parametrize("topic", topics.ALL, ids=lambda topic: topic.name)
def test_a_topic_is_named_in_one_place_only(topic):
    sources = [
        path
        for path in tracked("headwater/**/*.py", "connectors/**/*.py", "jobs/**/*.py", "api/**/*.py", "udfs/**/*.py")
        if path.name != "topics.py"
    ]
    # A topic's name as a whole string literal; prose in docstrings may speak of it.
    assert not offenders(rf"""(?<![`\w/-])["']{topic.name}["'](?!\w)""", sources)


def test_no_job_rule_or_function_reads_the_wall_clock():
    clock = r"time\.time\(|time_ns\(|datetime\.now\(|utcnow\(|monotonic\(|current_timestamp|localtimestamp"
    assert not offenders(
        clock, tracked("jobs/*.py", "udfs/*.py", "headwater/rules/*.py", "sql/views/*", "sql/sources/*")
    )


def test_lock_files_do_not_record_where_packages_came_from():
    locks = tracked("requirements/*", "dashboard/package-lock.json")
    assert locks
    assert not offenders(r"https?://[^\s\"']*\.(whl|tgz|jar|tar\.gz)|\"resolved\"|--(extra-)?index-url", locks)


def test_no_absolute_path_of_a_developers_machine_is_in_the_project():
    texts = [path for path in tracked() if path.name != "test_house.py"]
    assert not offenders(r"(^|[\s\"'`=(:])/(work|home/\w+|Users/\w+|tmp/dev|tmp/lk)/", texts)


def test_sql_is_lower_case():
    files = tracked("*.sql")
    assert files
    assert not offenders(r"^\s*(SELECT|INSERT|CREATE|FROM|WHERE|GROUP BY|ALTER|DELETE|UPDATE)\b", files)


def test_modules_fit_in_the_head():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked("*.py", "*.ts", "*.tsx")
        if (lines := len(path.read_text().splitlines())) > 330
    }
    assert not long, f"one concept a module: {long}"


def test_secrets_are_never_plain_strings_in_settings():
    for kind in setting_classes():
        for name, field in kind.model_fields.items():
            if re.search(r"password|token|access_key|secret", name):
                assert "SecretStr" in str(field.annotation), f"{kind.__name__}.{name}"
