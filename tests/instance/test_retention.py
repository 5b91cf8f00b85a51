"""`retention:` of `runwire.yaml`: off unless it says something, and refused with the key path otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runwire.config import MAX_DAYS
from runwire.errors import InvalidConfigurationError
from runwire.instance.retention import RetentionSettings
from runwire.instance.settings import effective_configuration, read_settings


def read(home: Path, text: str) -> RetentionSettings:
    (home / "runwire.yaml").write_text(f"retention: {text}")
    return read_settings(home)[0].retention


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "{runs: }",
        "{runs: {purge_after_days: }}",
        "{events: {}, poll_interval_seconds: 1}",
    ],
)
def test_what_says_nothing_keeps_everything(tmp_path: Path, text: str) -> None:
    assert not read(tmp_path, text).enabled


@pytest.mark.parametrize("kind", ["runs", "events", "ticks", "daemons", "orphans"])
def test_each_kind_turns_it_on(tmp_path: Path, kind: str) -> None:
    assert read(tmp_path, f"{{{kind}: {{purge_after_days: 0.5}}}}").enabled


def test_one_number_stands_for_runs_that_have_ended(tmp_path: Path) -> None:
    runs = read(tmp_path, "{runs: {purge_after_days: 30}}").runs
    assert runs.purge_after_days == {"SUCCESS": 30.0, "FAILURE": 30.0, "CANCELED": 30.0}


def test_one_number_stands_for_ticks_that_have_ended(tmp_path: Path) -> None:
    ticks = read(tmp_path, "{ticks: {purge_after_days: 7}}").ticks
    assert ticks.purge_after_days == {"SKIPPED": 7.0, "SUCCESS": 7.0, "FAILURE": 7.0}


def test_each_status_may_have_a_number_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEPT_DAYS", "1.5")
    text = "{runs: {purge_after_days: {FAILURE: {env: KEPT_DAYS}, NOT_STARTED: 7}}}"
    assert read(tmp_path, text).runs.purge_after_days == {"FAILURE": 1.5, "NOT_STARTED": 7.0}


def test_orphans_are_kept_for_a_day_unless_it_says_otherwise(tmp_path: Path) -> None:
    assert read(tmp_path, "{runs: {purge_after_days: 30}}").orphan_days == 1.0
    assert read(tmp_path, "{orphans: {purge_after_days: 2}}").orphan_days == 2.0


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("7", "retention"),
        ("{rusn: }", "retention.rusn"),
        ("{runs: 30}", "retention.runs"),
        ("{runs: {purge_after_days: 0}}", "retention.runs.purge_after_days"),
        ("{runs: {purge_after_days: -1}}", "retention.runs.purge_after_days"),
        ("{runs: {purge_after_days: yes}}", "retention.runs.purge_after_days"),
        ("{runs: {purge_after_days: soon}}", "retention.runs.purge_after_days"),
        ("{runs: {purge_after_days: .nan}}", "retention.runs.purge_after_days"),
        (f"{{runs: {{purge_after_days: {MAX_DAYS + 1}}}}}", "retention.runs.purge_after_days"),
        ("{runs: {purge_after_days: [1]}}", "retention.runs.purge_after_days"),
        ("{runs: {purge_after_days: {FAILURE: 0}}}", "retention.runs.purge_after_days.FAILURE"),
        (
            "{runs: {purge_after_days: {STARTED: 1}}}",
            "retention.runs.purge_after_days.STARTED.[key]",
        ),
        ("{events: {purge_after_days: 0}}", "retention.events.purge_after_days"),
        ("{events: {purge_after_days: {SUCCESS: 1}}}", "retention.events.purge_after_days"),
        ("{ticks: {purge_after_days: -1}}", "retention.ticks.purge_after_days"),
        ("{ticks: {purge_after_day: 1}}", "retention.ticks.purge_after_day"),
        (
            "{ticks: {purge_after_days: {STARTED: 1}}}",
            "retention.ticks.purge_after_days.STARTED.[key]",
        ),
        ("{daemons: {purge_after_days: -1}}", "retention.daemons.purge_after_days"),
        ("{daemons: {purge_after_days: {MONITORING: 1}}}", "retention.daemons.purge_after_days"),
        ("{batch_size: 0}", "retention.batch_size"),
        ("{pause_seconds: -1}", "retention.pause_seconds"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_path(tmp_path: Path, text: str, path: str) -> None:
    with pytest.raises(InvalidConfigurationError) as refused:
        read(tmp_path, text)
    assert [".".join(problem.path) for problem in refused.value.problems] == [path]


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("{rusn: 1}", "there is no such key; remove it or mend its name"),
        ("{events: {purge_after_days: -1}}", "greater than 0"),
        ("{runs: {purge_after_days: -1}}", "greater than 0"),
        ("{ticks: {purge_after_days: {DONE: 1}}}", "'SKIPPED', 'SUCCESS' or 'FAILURE'"),
    ],
)
def test_it_is_told_what_would_make_sense(tmp_path: Path, text: str, mend: str) -> None:
    with pytest.raises(InvalidConfigurationError, match=mend):
        read(tmp_path, text)


def test_the_effective_configuration_tells_it(tmp_path: Path) -> None:
    read(tmp_path, "{runs: {purge_after_days: {FAILURE: 9}}}")
    shown: dict[str, Any] = effective_configuration(*read_settings(tmp_path))["retention"]
    assert shown["runs"] == {"purge_after_days": {"FAILURE": 9.0}}
