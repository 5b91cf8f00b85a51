"""What a storage must do about runs that re-execute others."""

from __future__ import annotations

import pytest

from runwire.errors import RunNotFoundError
from runwire.runs.filters import NEWEST_FIRST, RunPlace, RunsFilter, TagFilter
from runwire.runs.run import RunRecord
from runwire.storage.instance_storage import InstanceStorage
from runwire.testing.samples import add_run


class RunGroupConformance:
    """Groups of runs: one, lists of them, and their counts."""

    @pytest.fixture
    def storage(self) -> InstanceStorage:
        raise NotImplementedError

    @pytest.fixture
    def records(self, storage: InstanceStorage) -> dict[str, RunRecord]:
        """Seven runs in three groups, a1-a4, b1-b2 and c1, in the order of making; the clock stands still."""
        return {
            name: _add(storage, name, team, parent)
            for name, team, parent in (
                ("a1", "sales", None),
                ("b1", "ops", None),
                ("a2", "sales", "a1"),
                ("a3", "ops", "a2"),
                ("c1", "sales", None),
                ("a4", "ops", "a1"),
                ("b2", "ops", "b1"),
            )
        }

    def test_each_run_of_a_group_leads_to_all_of_it(
        self, storage: InstanceStorage, records: dict[str, RunRecord]
    ) -> None:
        members = [records[name] for name in ("a1", "a2", "a3", "a4")]
        for record in members:
            group = storage.run_storage.get_run_group(record.run_id, limit=10)
            assert (group.root_run_id, group.records, group.count) == ("a1", members, 4)

    def test_a_run_that_was_never_re_executed_is_a_group(
        self, storage: InstanceStorage, records: dict[str, RunRecord]
    ) -> None:
        group = storage.run_storage.get_run_group("c1", limit=10)
        assert (group.root_run_id, group.records, group.count) == ("c1", [records["c1"]], 1)

    def test_of_a_large_group_the_first_runs_are_given(
        self, storage: InstanceStorage, records: dict[str, RunRecord]
    ) -> None:
        group = storage.run_storage.get_run_group("a4", limit=2)
        assert (group.records, group.count) == ([records["a1"], records["a2"]], 4)

    def test_an_unknown_run_has_no_group(
        self, storage: InstanceStorage, records: dict[str, RunRecord]
    ) -> None:
        with pytest.raises(RunNotFoundError):
            storage.run_storage.get_run_group("a", limit=10)

    def test_a_group_outlives_its_root(
        self, storage: InstanceStorage, records: dict[str, RunRecord]
    ) -> None:
        storage.delete_run("a1")
        group = storage.run_storage.get_run_group("a3", limit=10)
        assert group.root_run_id == "a1"
        assert group.records == [records[name] for name in ("a2", "a3", "a4")]
        assert storage.run_storage.get_run_group_counts(["a1"]) == {"a1": 3}

    def test_groups_are_counted(
        self, storage: InstanceStorage, records: dict[str, RunRecord]
    ) -> None:
        counts = storage.run_storage.get_run_group_counts
        assert counts(["a1", "b1", "c1"]) == {"a1": 4, "b1": 2, "c1": 1}
        assert counts(["a2", "nothing", "b1"]) == {"b1": 2}
        assert counts([]) == {}

    def test_groups_are_listed_by_their_newest_run(
        self, storage: InstanceStorage, records: dict[str, RunRecord]
    ) -> None:
        for limit in (1, 2, 3, 10):
            assert _listed(storage, None, limit) == [("b2", 2), ("a4", 4), ("c1", 1)]

    def test_groups_are_listed_by_their_newest_run_that_matches(
        self, storage: InstanceStorage, records: dict[str, RunRecord]
    ) -> None:
        sales = RunsFilter(tags=(TagFilter("team", frozenset({"sales"})),))
        ops = RunsFilter(tags=(TagFilter("team", frozenset({"ops"})),))
        for limit in (1, 2, 3):
            assert _listed(storage, sales, limit) == [("c1", 1), ("a2", 4)]
            assert _listed(storage, ops, limit) == [("b2", 2), ("a4", 4)]
            assert _listed(storage, RunsFilter(root_run_id="a1"), limit) == [("a4", 4)]

    def test_nothing_has_no_groups(self, storage: InstanceStorage) -> None:
        page = storage.run_storage.get_run_groups(limit=5)
        assert (page.groups, page.has_more) == ([], False)


def _add(storage: InstanceStorage, run_id: str, team: str, parent_run_id: str | None) -> RunRecord:
    return add_run(
        storage,
        run_id=run_id,
        tags={"team": team},
        parent_run_id=parent_run_id,
        root_run_id=parent_run_id and f"{run_id[0]}1",
    )


def _listed(
    storage: InstanceStorage, filter: RunsFilter | None, limit: int
) -> list[tuple[str, int]]:
    """The newest matching run and the count of each group, read in pages."""
    groups, place, has_more = [], None, True
    while has_more:
        page = storage.run_storage.get_run_groups(filter, after=place, limit=limit)
        assert 0 < len(page.groups) <= limit
        groups += page.groups
        place, has_more = RunPlace.of(groups[-1].newest, NEWEST_FIRST), page.has_more
    assert [storage.get_run_record(each.newest.run_id) for each in groups] == [
        each.newest for each in groups
    ]
    return [(each.newest.run_id, each.count) for each in groups]
