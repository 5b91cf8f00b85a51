"""What a storage must do with the asset index."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace

import pytest

from runwire.events.payloads import AssetEventData
from runwire.events.types import ASSET_EVENTS, EventType
from runwire.runs.run import RunRecord
from runwire.storage.asset_index import AssetIndex, AssetKey, AssetRecord, AssetsPage
from runwire.storage.instance_log import MAX_PAGE, InstanceLogRecord
from runwire.storage.instance_storage import InstanceStorage
from runwire.testing.samples import (
    ESCAPED_SURROGATE,
    LONE_SURROGATE,
    add_run,
    event,
    in_threads,
    launch,
    report,
)

SALES: AssetKey = ("sales",)
DAILY: AssetKey = ("sales", "daily")

IN_ORDER: tuple[AssetKey, ...] = (
    (" ",),
    ('"',),
    ("Sales",),
    ("[",),
    ("\\",),
    ("\n",),
    ("a,b",),
    ("sale",),
    ("sales ",),
    ('sales"',),
    ("sales", "daily"),
    ("sales", "daily", "x"),
    ("sales",),
    ("sales,daily",),
    ("sales/daily",),
    ("sales]",),
    ("ä",),
    ("日本", "語"),
    ("\ue000",),
    ("😀",),
)
"""Keys that are easily taken for one another."""

NEWEST = {
    EventType.ASSET_MATERIALIZATION: "last_materialization",
    EventType.ASSET_OBSERVATION: "last_observation",
    EventType.ASSET_MATERIALIZATION_PLANNED: "last_planned",
}


class AssetIndexConformance:
    """Records and their order, counts, wiping, purging and making the index anew.

    A backend that keeps things beyond its process also overrides the fixture `another`.
    """

    @pytest.fixture
    def storage(self) -> InstanceStorage:
        raise NotImplementedError

    @pytest.fixture
    def another(self, storage: InstanceStorage) -> InstanceStorage:
        """The same data, opened once more, as in another process; by default the same storage."""
        return storage

    @pytest.fixture
    def assets(self, storage: InstanceStorage) -> AssetIndex:
        return storage.event_log_storage.asset_index

    @pytest.fixture
    def run(self, storage: InstanceStorage) -> RunRecord:
        return launch(storage)

    # ------------------------------------------------------------ records

    def test_nothing_is_there_at_first(self, assets: AssetIndex) -> None:
        assert assets.get_asset_records() == AssetsPage([], False)
        assert assets.get_assets_count() == 0
        assert not assets.has_asset_key(SALES)
        assert assets.get_materialization_count_by_partition([SALES]) == {}

    def test_events_that_name_no_asset_make_none(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        report(storage, run.run_id, EventType.RUN_START, EventType.STEP_FAILURE, None)
        assert assets.get_asset_records() == AssetsPage([], False)

    @pytest.mark.parametrize("event_type", NEWEST, ids=lambda each: each.value)
    def test_one_event_makes_an_asset(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord, event_type: EventType
    ) -> None:
        entry = tell(storage, run, SALES, event_type=event_type)
        found = assets.get_asset_records()
        assert (keys_of(found), found.has_more) == ([SALES], False)
        told = {name: getattr(found.records[0], name) for name in NEWEST.values()}
        assert told == dict.fromkeys(NEWEST.values()) | {NEWEST[event_type]: entry}
        assert assets.get_assets_count() == 1
        assert assets.has_asset_key(SALES)
        assert not assets.has_asset_key(DAILY)

    def test_the_entry_is_that_of_the_instance_wide_log(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        tell(storage, run, SALES, "mon")
        (logged,) = storage.event_log_storage.get_event_records(after=2).records
        assert newest(assets, SALES).last_materialization == logged
        assert logged.event is not None
        assert logged.event.data == AssetEventData(SALES, "mon")

    def test_the_newest_event_of_each_type_counts(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        for event_type in NEWEST:
            tell(storage, run, SALES, event_type=event_type)
        last = {
            event_type: tell(storage, run, SALES, event_type=event_type) for event_type in NEWEST
        }
        tell(storage, run, DAILY)
        found = newest(assets, SALES)
        assert {each: getattr(found, name) for each, name in NEWEST.items()} == last

    def test_of_a_batch_the_last_counts(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        keys = (SALES, DAILY, SALES, SALES, DAILY)
        entries = [
            event(run.run_id, EventType.ASSET_MATERIALIZATION, data=AssetEventData(key, "p"))
            for key in keys
        ]
        storage.store_events(run.run_id, entries)
        head = storage.event_log_storage.get_instance_log_span().head
        assert [position_of(newest(assets, key)) for key in (SALES, DAILY)] == [head - 1, head]
        counts = assets.get_materialization_count_by_partition([SALES, DAILY])
        assert counts == {SALES: {"p": 3}, DAILY: {"p": 2}}

    def test_the_log_tells_what_is_newest_not_the_writers_clock(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        tell(storage, run, SALES, timestamp=9000.0)
        second = tell(storage, run, SALES, timestamp=10.0)
        third = tell(storage, run, SALES, timestamp=10.0)
        assert second != third
        assert newest(assets, SALES).last_materialization == third

    def test_of_several_runs_the_newest_counts(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        other = launch(storage, job_name="weekly")
        tell(storage, other, SALES)
        tell(storage, run, SALES)
        last = tell(storage, other, SALES)
        assert newest(assets, SALES).last_materialization == last
        assert last.job_name == "weekly"
        assert assets.get_materialization_count_by_partition([SALES]) == {SALES: {None: 3}}

    def test_an_event_that_is_not_applied_changes_nothing(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        first = tell(storage, run, SALES)
        assert first.event is not None
        late = replace(first.event, position=first.event.position + 1, applied=False)
        new = replace(late, position=late.position + 1, body=None)
        with storage.run_storage.hold_run(run.run_id) as held:
            held.apply([late, new])
        assert storage.event_log_storage.get_instance_log_span().head == first.position + 2
        assert newest(assets, SALES).last_materialization == first
        assert assets.get_materialization_count_by_partition([SALES]) == {SALES: {None: 1}}

    def test_an_event_that_is_applied_again_counts_once(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        first = tell(storage, run, SALES)
        second = tell(storage, run, SALES)
        assert first.event is not None
        assert second.event is not None
        with storage.run_storage.hold_run(run.run_id) as held:
            held.apply([first.event, second.event])
        storage.repair()
        assert newest(assets, SALES).last_materialization == second
        assert assets.get_materialization_count_by_partition([SALES]) == {SALES: {None: 2}}

    def test_a_batch_that_is_repeated_counts_once(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        data = AssetEventData(SALES)
        entry = event(run.run_id, EventType.ASSET_MATERIALIZATION, data=data)
        for _ in range(2):
            storage.store_events(run.run_id, [entry], idempotency_key="k")
        assert assets.get_materialization_count_by_partition([SALES]) == {SALES: {None: 1}}

    def test_what_a_hold_that_fails_did_is_not_there(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        first = tell(storage, run, SALES)
        assert first.event is not None
        after = replace(first.event, position=first.event.position + 1)

        def give_up() -> None:
            with storage.run_storage.hold_run(run.run_id) as held:
                held.apply([after])
                raise RuntimeError("given up")

        with pytest.raises(RuntimeError, match="given up"):
            give_up()
        assert newest(assets, SALES).last_materialization == first
        assert assets.get_materialization_count_by_partition([SALES]) == {SALES: {None: 1}}

    def test_a_worker_that_is_late_makes_no_asset(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        report(storage, run.run_id, EventType.RUN_CANCELED)
        data = AssetEventData(SALES)
        late = [
            event(run.run_id, EventType.ASSET_MATERIALIZATION, data=data),
            event(run.run_id, EventType.RUN_SUCCESS),
        ]
        (kept,) = storage.store_events(run.run_id, late, epoch=1)
        assert not kept.applied
        assert assets.get_assets_count() == 0

    def test_an_asset_outlives_its_runs(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        entry = tell(storage, run, SALES)
        storage.delete_run(run.run_id)
        assert newest(assets, SALES).last_materialization == entry
        assert assets.get_materialization_count_by_partition([SALES]) == {SALES: {None: 1}}

    def test_wiping_everything_wipes_the_assets(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        tell(storage, run, SALES)
        assets.wipe_asset(SALES)
        tell(storage, run, SALES)
        storage.wipe()
        assert assets.get_asset_records() == AssetsPage([], False)
        assert assets.get_materialization_count_by_partition([SALES]) == {}
        entry = tell(storage, launch(storage), SALES)
        assert newest(assets, SALES) == AssetRecord(asset_key=SALES, last_materialization=entry)

    # ------------------------------------------------------------ order, prefixes, pages

    def test_assets_are_in_the_order_of_their_keys(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        shuffled = list(IN_ORDER)
        random.Random(4).shuffle(shuffled)  # noqa: S311 - a shuffle, no secret
        for key in shuffled:
            tell(storage, run, key)
        assert keys_of(assets.get_asset_records()) == in_order(IN_ORDER)

    @pytest.mark.parametrize(
        "prefix",
        [
            (),
            ("sales",),
            ("sale",),
            ("sales", "daily"),
            ("sales", "dail"),
            ("sales", ""),
            ("",),
            ('"',),
            ("sales,daily",),
            ("日本",),
            ("\ue000",),
            ("😀",),
            ("none",),
        ],
        ids=repr,
    )
    def test_a_prefix_is_whole_parts(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord, prefix: AssetKey
    ) -> None:
        for key in IN_ORDER:
            tell(storage, run, key)
        wanted = [key for key in in_order(IN_ORDER) if key[: len(prefix)] == prefix]
        assert keys_of(assets.get_asset_records(prefix=prefix)) == wanted
        assert keys_of(assets.get_asset_records(prefix=list(prefix))) == wanted
        assert assets.get_assets_count(prefix) == len(wanted)

    @pytest.mark.parametrize("limit", [1, 2, 7, len(IN_ORDER), 99])
    def test_paging_reads_every_asset_once(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord, limit: int
    ) -> None:
        for key in IN_ORDER:
            tell(storage, run, key)
        read: list[AssetKey] = []
        has_more = True
        while has_more:
            page = assets.get_asset_records(after=read[-1] if read else None, limit=limit)
            assert len(page.records) <= limit
            read, has_more = read + keys_of(page), page.has_more
        assert read == in_order(IN_ORDER)

    def test_a_page_of_a_prefix_tells_whether_more_follow(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        for key in (SALES, DAILY, ("stock",)):
            tell(storage, run, key)
        first = assets.get_asset_records(prefix=SALES, limit=1)
        assert (keys_of(first), first.has_more) == ([DAILY], True)
        second = assets.get_asset_records(prefix=SALES, after=DAILY, limit=1)
        assert (keys_of(second), second.has_more) == ([SALES], False)

    def test_the_key_to_go_on_from_need_not_be_there(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        for name in "ace":
            tell(storage, run, (name,))
        assert keys_of(assets.get_asset_records(after=("b",))) == [("c",), ("e",)]
        assets.wipe_asset(("c",))
        assert keys_of(assets.get_asset_records(after=("c",))) == [("e",)]
        assert assets.get_asset_records(after=("e",)) == AssetsPage([], False)

    def test_pages_stay_as_they_are_while_assets_come(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        for name in "aceg":
            tell(storage, run, (name,))
        first = assets.get_asset_records(limit=2)
        for name in "bdh":
            tell(storage, run, (name,))
        rest = assets.get_asset_records(after=first.records[-1].asset_key)
        assert keys_of(first) + keys_of(rest) == [(name,) for name in "acdegh"]

    def test_no_page_is_larger_than_the_largest(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        keys = [(f"{n:05}",) for n in range(MAX_PAGE + 5)]
        entries = [
            event(run.run_id, EventType.ASSET_OBSERVATION, data=AssetEventData(key)) for key in keys
        ]
        storage.store_events(run.run_id, entries)
        page = assets.get_asset_records(limit=10 * MAX_PAGE)
        assert (keys_of(page), page.has_more) == (keys[:MAX_PAGE], True)
        rest = assets.get_asset_records(after=keys[MAX_PAGE - 1])
        assert (keys_of(rest), rest.has_more) == (keys[MAX_PAGE:], False)
        assert assets.get_assets_count() == len(keys)

    def test_keys_choose_assets(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        for key in IN_ORDER:
            tell(storage, run, key)
        wanted = [SALES, ("none",), ("ä",), DAILY, DAILY]
        assert keys_of(assets.get_asset_records(wanted)) == [DAILY, SALES, ("ä",)]
        assert keys_of(assets.get_asset_records(wanted, prefix=SALES)) == [DAILY, SALES]
        page = assets.get_asset_records(wanted, after=DAILY, limit=1)
        assert (keys_of(page), page.has_more) == ([SALES], True)
        assert assets.get_asset_records([]) == AssetsPage([], False)

    @pytest.mark.parametrize(
        ("told", "stored"),
        [
            ((LONE_SURROGATE, "a\0b"), (ESCAPED_SURROGATE, "a\0b")),
            (("é", "e\u0301"), ("é", "e\u0301")),
            (("'; DROP TABLE assets; --", "%", "_"), ("'; DROP TABLE assets; --", "%", "_")),
            (("x" * 1000, "日" * 100), ("x" * 1000, "日" * 100)),
        ],
    )
    def test_any_text_may_be_in_a_key(
        self,
        storage: InstanceStorage,
        assets: AssetIndex,
        run: RunRecord,
        told: AssetKey,
        stored: AssetKey,
    ) -> None:
        tell(storage, run, told)
        for key in (told, stored):
            assert assets.has_asset_key(key)
            assert keys_of(assets.get_asset_records([key])) == [stored]
            assert keys_of(assets.get_asset_records(prefix=key[:1])) == [stored]
            assert keys_of(assets.get_asset_records(after=key)) == []
            assert assets.get_materialization_count_by_partition([key]) == {stored: {None: 1}}
        assert assets.wipe_asset(told)
        assert not assets.has_asset_key(stored)

    # ------------------------------------------------------------ counts

    def test_materializations_are_counted_by_partition(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        for partition in ("mon", None, "mon", "tue", "", "null"):
            tell(storage, run, SALES, partition)
        tell(storage, run, DAILY)
        assert assets.get_materialization_count_by_partition([SALES]) == {
            SALES: {"mon": 2, "tue": 1, None: 1, "": 1, "null": 1}
        }
        assert assets.get_materialization_count_by_partition([DAILY, ("none",)]) == {
            DAILY: {None: 1}
        }
        assert assets.get_materialization_count_by_partition([]) == {}

    def test_other_events_are_not_counted(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        for event_type in ASSET_EVENTS - {EventType.ASSET_MATERIALIZATION}:
            tell(storage, run, SALES, "mon", event_type=event_type)
        assert assets.get_materialization_count_by_partition([SALES]) == {}

    @pytest.mark.parametrize(
        ("told", "stored"),
        [("ä 日本 😀", "ä 日本 😀"), (LONE_SURROGATE, ESCAPED_SURROGATE), ("a\0b", "a\\x00b")],
    )
    def test_a_partition_is_counted_in_its_stored_form(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord, told: str, stored: str
    ) -> None:
        tell(storage, run, SALES, told)
        tell(storage, run, SALES, told)
        counted = {SALES: {stored: 2}}
        assert assets.get_materialization_count_by_partition([SALES]) == counted
        assets.reindex()
        assert assets.get_materialization_count_by_partition([SALES]) == counted

    def test_concurrent_writers_count_everything(
        self, storage: InstanceStorage, another: InstanceStorage, assets: AssetIndex
    ) -> None:
        runs = [launch(storage) for _ in range(6)]

        def work(index: int) -> None:
            for turn in range(5):
                for key in (SALES, DAILY, (f"own {index}",)):
                    data = AssetEventData(key, "even" if turn % 2 == 0 else None)
                    entry = event(runs[index].run_id, EventType.ASSET_MATERIALIZATION, data=data)
                    (storage, another)[index % 2].store_events(runs[index].run_id, [entry])

        in_threads(6, work)
        own: dict[AssetKey, dict[str | None, int]] = {
            (f"own {index}",): {"even": 3, None: 2} for index in range(6)
        }
        shared: dict[AssetKey, dict[str | None, int]] = {
            key: {"even": 18, None: 12} for key in (SALES, DAILY)
        }
        wanted = own | shared
        assert assets.get_materialization_count_by_partition(list(wanted)) == wanted
        entries = storage.event_log_storage.get_event_records(after=12).records
        for key in (SALES, DAILY):
            last = [e for e in entries if e.event and is_of(e, key)][-1]
            assert newest(assets, key).last_materialization == last

    # ------------------------------------------------------------ wiping

    def test_a_wiped_asset_is_not_there(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        for event_type in NEWEST:
            tell(storage, run, SALES, "mon", event_type=event_type)
        kept = tell(storage, run, DAILY)
        assert assets.wipe_asset(SALES)
        assert not assets.has_asset_key(SALES)
        assert assets.get_assets_count() == assets.get_assets_count(("sales",)) == 1
        wanted = AssetRecord(asset_key=DAILY, last_materialization=kept)
        assert assets.get_asset_records() == AssetsPage([wanted], False)
        assert assets.get_asset_records([SALES]) == AssetsPage([], False)
        counts = assets.get_materialization_count_by_partition([SALES, DAILY])
        assert counts == {DAILY: {None: 1}}

    def test_wiping_tells_whether_the_asset_was_there(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        assert not assets.wipe_asset(SALES)
        tell(storage, run, DAILY)
        assert not assets.wipe_asset(SALES)
        tell(storage, run, SALES)
        assert assets.wipe_asset(SALES)
        assert not assets.wipe_asset(SALES)
        tell(storage, run, SALES)
        assert assets.wipe_asset(SALES)

    def test_logs_keep_what_is_wiped(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        tell(storage, run, SALES)
        logs = storage.event_log_storage
        before = logs.get_event_records(), logs.get_records(run), logs.get_instance_log_span()
        assets.wipe_asset(SALES)
        after = logs.get_event_records(), logs.get_records(run), logs.get_instance_log_span()
        assert after == before

    def test_the_next_event_brings_a_wiped_asset_back(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        for event_type in NEWEST:
            tell(storage, run, SALES, "mon", event_type=event_type)
        wiped_position = storage.event_log_storage.get_instance_log_span().head
        assets.wipe_asset(SALES)
        tell(storage, run, DAILY)
        entry = tell(storage, run, SALES, "tue")
        wanted = AssetRecord(
            asset_key=SALES, last_materialization=entry, wiped_position=wiped_position
        )
        assert newest(assets, SALES) == wanted
        counted = {SALES: {"tue": 1}}
        assert assets.get_materialization_count_by_partition([SALES]) == counted
        assets.reindex()
        assert newest(assets, SALES) == wanted
        assert assets.get_materialization_count_by_partition([SALES]) == counted

    def test_a_wipe_does_not_matter_to_events_that_come_after_it(
        self, storage: InstanceStorage, assets: AssetIndex
    ) -> None:
        """Whatever events a wipe comes between: those after its position count, and no others."""
        runs = [launch(storage) for _ in range(4)]

        def work(index: int) -> None:
            if index == 0:
                for _ in range(10):
                    assets.wipe_asset(SALES)
            else:
                for _ in range(10):
                    tell_only(storage, runs[index], SALES)

        in_threads(4, work)
        tell(storage, runs[0], SALES)
        found = newest(assets, SALES)
        entries = storage.event_log_storage.get_event_records().records
        counted = [e for e in entries if is_of(e, SALES) and e.position > found.wiped_position]
        assert found.last_materialization == counted[-1]
        counts = assets.get_materialization_count_by_partition([SALES])
        assert counts == {SALES: {None: len(counted)}}

    # ------------------------------------------------------------ purging

    def test_purging_the_log_changes_nothing(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        for key in (SALES, DAILY, SALES):
            for partition in ("mon", None):
                for event_type in NEWEST:
                    tell(storage, run, key, partition, event_type=event_type)
        before = snapshot(assets)
        head = storage.event_log_storage.get_instance_log_span().head
        for up_to in (4, 9, head - 1, head):
            storage.event_log_storage.purge_instance_log(up_to)
            assert snapshot(assets) == before
            assets.reindex()
            assert snapshot(assets) == before

    def test_what_an_asset_keeps_is_not_in_the_purged_log(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        tell(storage, run, SALES)
        logs = storage.event_log_storage
        head = logs.get_instance_log_span().head
        logs.purge_instance_log(head)
        assert logs.get_event_records(after=head).records == []
        assert logs.get_event_records(after=head, descending=True).records == []
        assert newest(assets, SALES).last_materialization is not None

    def test_events_after_a_purge_are_added(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        tell(storage, run, SALES, "mon")
        observed = tell(storage, run, SALES, event_type=EventType.ASSET_OBSERVATION)
        logs = storage.event_log_storage
        logs.purge_instance_log(logs.get_instance_log_span().head)
        made = tell(storage, run, SALES, "mon")
        tell(storage, run, DAILY)
        for _ in range(2):
            assert newest(assets, SALES) == AssetRecord(
                asset_key=SALES, last_materialization=made, last_observation=observed
            )
            counts = assets.get_materialization_count_by_partition([SALES, DAILY])
            assert counts == {SALES: {"mon": 2}, DAILY: {None: 1}}
            assets.reindex()
        logs.purge_instance_log(made.position)
        assert newest(assets, SALES).last_materialization == made

    def test_an_asset_is_wiped_after_a_purge_and_purged_after_a_wipe(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        logs = storage.event_log_storage
        tell(storage, run, SALES)
        tell(storage, run, SALES)
        logs.purge_instance_log(3)
        assets.wipe_asset(SALES)
        logs.purge_instance_log(logs.get_instance_log_span().head)
        assets.reindex()
        assert snapshot(assets) == ([], {})
        entry = tell(storage, run, SALES)
        assets.reindex()
        assert newest(assets, SALES).last_materialization == entry
        assert assets.get_materialization_count_by_partition([SALES]) == {SALES: {None: 1}}

    def test_many_entries_are_purged(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        entries = [
            event(
                run.run_id,
                EventType.ASSET_MATERIALIZATION,
                data=AssetEventData((f"{n % 300:03}",), f"p{n % 2}"),
            )
            for n in range(2500)
        ]
        storage.store_events(run.run_id, entries)
        before = snapshot(assets)
        logs = storage.event_log_storage
        for up_to in (1200, 2400, 2502):
            logs.purge_instance_log(up_to)
            assert snapshot(assets) == before
        tell(storage, run, ("000",))
        logs.purge_instance_log(2503)
        assert assets.get_assets_count() == 300
        assets.reindex()
        assert assets.get_assets_count() == 300

    def test_purging_while_others_write_loses_no_count(
        self, storage: InstanceStorage, another: InstanceStorage, assets: AssetIndex
    ) -> None:
        runs = [launch(storage) for _ in range(4)]
        logs = storage.event_log_storage

        def work(index: int) -> None:
            for _ in range(12):
                if index == 0:
                    logs.purge_instance_log(logs.get_instance_log_span().head - 2)
                    assert len(assets.get_asset_records().records) <= 1
                else:
                    tell_only((storage, another)[index % 2], runs[index], SALES)

        in_threads(4, work)
        for _ in range(2):
            counts = assets.get_materialization_count_by_partition([SALES])
            assert counts == {SALES: {None: 36}}
            assert position_of(newest(assets, SALES)) == logs.get_instance_log_span().head
            assets.reindex()

    def test_a_reader_always_finds_the_newest_event(
        self, storage: InstanceStorage, another: InstanceStorage, run: RunRecord
    ) -> None:
        """Also when the one that it was is purged at that moment."""
        tell(storage, run, SALES)
        logs, reader = storage.event_log_storage, another.event_log_storage.asset_index
        ended: list[bool] = []

        def work(index: int) -> None:
            if index == 0:
                try:
                    for _ in range(40):
                        tell_only(storage, run, SALES)
                        logs.purge_instance_log(logs.get_instance_log_span().head)
                finally:
                    ended.append(True)
            while not ended:
                assert newest(reader, SALES).last_materialization is not None

        in_threads(2, work)

    # ------------------------------------------------------------ anew, and opened again

    def test_making_the_index_anew_is_harmless(
        self, storage: InstanceStorage, assets: AssetIndex, run: RunRecord
    ) -> None:
        assets.reindex()
        assert snapshot(assets) == ([], {})
        for key in IN_ORDER:
            tell(storage, run, key, "mon")
        before = snapshot(assets)
        assets.reindex()
        assets.reindex()
        assert snapshot(assets) == before

    def test_the_index_is_made_anew_while_others_write(
        self, storage: InstanceStorage, another: InstanceStorage, assets: AssetIndex
    ) -> None:
        runs = [launch(storage) for _ in range(4)]
        logs = storage.event_log_storage

        def work(index: int) -> None:
            for turn in range(25):
                if index == 0:
                    another.event_log_storage.asset_index.reindex()
                else:
                    tell_only((storage, another)[index % 2], runs[index], (f"{index}", f"{turn}"))
                    tell_only((storage, another)[index % 2], runs[index], SALES)

        in_threads(4, work)
        own: list[AssetKey] = [(f"{index}", f"{turn}") for index in (1, 2, 3) for turn in range(25)]
        counts = assets.get_materialization_count_by_partition([*own, SALES])
        assert counts == {SALES: {None: 75}} | {key: {None: 1} for key in own}
        assert assets.get_assets_count() == 76
        assert position_of(newest(assets, SALES)) == logs.get_instance_log_span().head

    @pytest.mark.parametrize("seed", range(6))
    def test_whatever_happens_the_index_is_what_the_events_add_up_to(
        self, storage: InstanceStorage, another: InstanceStorage, seed: int
    ) -> None:
        model = Model(storage, another)
        chance = random.Random(seed)  # noqa: S311 - repeatable, no secret
        for _ in range(60):
            model.step(chance)
        model.check(storage)
        model.check(another)
        another.event_log_storage.asset_index.reindex()
        model.check(storage)

    def test_another_sees_the_same(
        self, storage: InstanceStorage, another: InstanceStorage, run: RunRecord
    ) -> None:
        for key in (SALES, DAILY):
            tell(storage, run, key, "mon")
        storage.event_log_storage.asset_index.wipe_asset(SALES)
        seen = another.event_log_storage.asset_index
        assert snapshot(seen) == snapshot(storage.event_log_storage.asset_index)
        assert keys_of(seen.get_asset_records()) == [DAILY]


def tell(
    storage: InstanceStorage,
    run: RunRecord,
    key: AssetKey,
    partition: str | None = None,
    *,
    event_type: EventType = EventType.ASSET_MATERIALIZATION,
    timestamp: float = 5000.0,
) -> InstanceLogRecord:
    """Stores an event of an asset; nobody else writes. Returns its entry in the instance-wide log."""
    data = AssetEventData(key, partition)
    entry = event(run.run_id, event_type, data=data, timestamp=timestamp)
    storage.store_events(run.run_id, [entry])
    logs = storage.event_log_storage
    head = logs.get_instance_log_span().head
    (logged,) = logs.get_event_records(after=head - 1).records
    return logged


def tell_only(storage: InstanceStorage, run: RunRecord, key: AssetKey) -> None:
    """Stores a materialization, whoever else writes."""
    data = AssetEventData(key)
    storage.store_events(
        run.run_id, [event(run.run_id, EventType.ASSET_MATERIALIZATION, data=data)]
    )


def newest(assets: AssetIndex, key: AssetKey) -> AssetRecord:
    """The record of an asset."""
    (found,) = assets.get_asset_records([key]).records
    return found


def position_of(asset: AssetRecord) -> int:
    """The position of its newest materialization."""
    assert asset.last_materialization is not None
    return asset.last_materialization.position


def is_of(entry: InstanceLogRecord, key: AssetKey) -> bool:
    """Whether an entry is an event of an asset."""
    data = None if entry.event is None else entry.event.data
    return isinstance(data, AssetEventData) and data.asset_key == key


def keys_of(page: AssetsPage) -> list[AssetKey]:
    """The keys of a page."""
    return [record.asset_key for record in page.records]


def in_order(keys: tuple[AssetKey, ...]) -> list[AssetKey]:
    """Keys in the order that the contract names."""
    return sorted(keys, key=as_text)


def as_text(key: AssetKey) -> str:
    """The JSON text of a key, written here anew: a storage must not be measured by its own hand."""
    return "[" + ",".join(f'"{"".join(map(_escaped, part))}"' for part in key) + "]"


def _escaped(character: str) -> str:
    return {'"': '\\"', "\\": "\\\\", "\n": "\\n"}.get(character, character)


def snapshot(assets: AssetIndex) -> tuple[object, object]:
    """All that an index tells."""
    records = assets.get_asset_records().records
    counts = assets.get_materialization_count_by_partition([each.asset_key for each in records])
    return records, counts


@dataclass
class Model:
    """Does random things, and knows what the index must tell then."""

    storage: InstanceStorage
    another: InstanceStorage
    runs: list[RunRecord] = field(default_factory=list)
    newest: dict[AssetKey, dict[str, InstanceLogRecord]] = field(default_factory=dict)
    counts: defaultdict[AssetKey, Counter[str | None]] = field(
        default_factory=lambda: defaultdict(Counter)
    )

    def step(self, chance: random.Random) -> None:
        """One of the things."""
        storage = chance.choice((self.storage, self.another))
        logs = storage.event_log_storage
        key = chance.choice((SALES, DAILY, ("stock", "ä")))
        match chance.choices(
            ("tell", "wipe", "purge", "reindex", "delete", "check"), (20, 3, 3, 1, 1, 2)
        )[0]:
            case "tell":
                self._tell(storage, chance, key)
            case "wipe":
                assert logs.asset_index.wipe_asset(key) == (key in self.newest)
                self.newest.pop(key, None)
                self.counts.pop(key, None)
            case "purge":
                logs.purge_instance_log(chance.randint(0, logs.get_instance_log_span().head))
            case "reindex":
                logs.asset_index.reindex()
            case "delete" if self.runs:
                storage.delete_run(self.runs.pop().run_id)
            case _:
                self.check(storage)

    def check(self, storage: InstanceStorage) -> None:
        """Compares the index with what it must tell."""
        index = storage.event_log_storage.asset_index
        found = {
            each.asset_key: {
                name: getattr(each, name)
                for name in NEWEST.values()
                if getattr(each, name) is not None
            }
            for each in index.get_asset_records().records
        }
        assert found == self.newest
        wanted = {key: dict(counts) for key, counts in self.counts.items()}
        every = (SALES, DAILY, ("stock", "ä"))
        assert index.get_materialization_count_by_partition(every) == wanted

    def _tell(self, storage: InstanceStorage, chance: random.Random, key: AssetKey) -> None:
        if not self.runs or chance.random() < 0.1:
            self.runs.append(add_run(storage))
        event_type = chance.choice((*NEWEST, EventType.ASSET_MATERIALIZATION))
        partition = chance.choice((None, "mon", "tue"))
        entry = tell(storage, chance.choice(self.runs), key, partition, event_type=event_type)
        self.newest.setdefault(key, {})[NEWEST[event_type]] = entry
        if event_type is EventType.ASSET_MATERIALIZATION:
            self.counts[key][partition] += 1
