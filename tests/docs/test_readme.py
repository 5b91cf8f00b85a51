"""What the README shows works as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Server, Subscriber, wait_until

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [text for name, text in fenced if name == language]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Server]:
    """`runwire dev -f jobs.py` with the README's jobs."""
    [code] = blocks("python")
    (tmp_path / "jobs.py").write_text(code)
    server = Server(tmp_path)
    server.start("dev", "-f", str(tmp_path / "jobs.py"))
    query = "{ codeLocations { status } }"
    loaded = {"codeLocations": [{"status": "LOADED"}]}
    wait_until(lambda: server.execute(query) == loaded, "the jobs to be loaded")
    yield server
    server.stop()


def test_the_code_has_at_most_twenty_lines_that_are_not_blank() -> None:
    [code] = blocks("python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 20


def test_the_command_runs_the_job(served: Server) -> None:
    [command] = [b for b in blocks("") if b.startswith("runwire run submit")]
    arguments = command.strip().replace("runwire", f"{sys.executable} -m runwire.cli", 1)
    done = subprocess.run(
        ["/bin/sh", "-c", arguments],
        env={**os.environ, "RUNWIRE_URL": served.url},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Hello, Linus!" in done.stdout


def test_the_mutation_and_the_subscription_work(served: Server) -> None:
    mutation, subscription = blocks("graphql")
    answer = served.execute(mutation)["submitRun"]
    assert answer["__typename"] == "SubmitRunSuccess"
    follower = Subscriber(served, answer["run"]["runId"], query=subscription)
    follower.start()
    follower.join(100)
    assert follower.failure is None
    assert follower.positions == list(range(1, len(follower.positions) + 1))
    assert "Hello, Ada!" in follower.messages
    assert follower.statuses[-1] == "SUCCESS"


def test_the_curl_recipe_reports_a_run_from_outside(served: Server) -> None:
    [script] = blocks("sh")
    script = script.replace("http://127.0.0.1:3333/graphql", served.url) + "\necho run=$run"
    done = subprocess.run(
        ["/bin/sh", "-euc", script], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ReportEventsSuccess") == 3
    [run_id] = re.findall(r"^run=(.+)$", done.stdout, re.MULTILINE)
    follower = Subscriber(served, run_id)
    follower.start()
    follower.join(100)
    assert follower.messages == ["Backup begins", "3 tables dumped", "slow disk", "Backup is done"]
    assert follower.statuses[-1] == "SUCCESS"


def test_every_file_that_the_readme_points_to_exists() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    assert [t for t in targets if "://" not in t and not (ROOT / t).exists()] == []
