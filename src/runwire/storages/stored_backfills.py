"""What every storage does alike with backfills."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from runwire.error_info import ErrorInfo
from runwire.errors import BackfillConflictError
from runwire.events.entry import storable_text
from runwire.partitions import PartitionSelection
from runwire.storage.backfill_storage import Backfill, BackfillFailure
from runwire.storages.stored_form import encode_json, stored_tags, stored_text

decode_error = msgspec.json.Decoder(ErrorInfo).decode
decode_selection = msgspec.json.Decoder(PartitionSelection).decode
decode_tags = msgspec.json.Decoder(dict[str, str]).decode
decode_config = msgspec.json.Decoder(dict[str, Any]).decode


def stored_backfill(backfill: Backfill) -> Backfill:
    """The backfill with texts that every store takes, and its config as JSON gives it back."""
    config, error = backfill.run_config, backfill.error
    return replace(
        backfill,
        location_name=storable_text(backfill.location_name),
        repository_name=storable_text(backfill.repository_name),
        job_name=storable_text(backfill.job_name),
        selection=decode_selection(encode_json(backfill.selection)),
        tags=stored_tags(backfill.tags),
        run_config=None if config is None else decode_config(encode_json(config)),
        waiting=stored_text(backfill.waiting),
        error=None if error is None else decode_error(encode_json(error)),
        requested_by=stored_text(backfill.requested_by),
    )


def stored_failure(failure: BackfillFailure) -> BackfillFailure:
    """The failure with texts that every store takes."""
    return replace(
        failure,
        partition_key=storable_text(failure.partition_key),
        error=decode_error(encode_json(failure.error)),
    )


def rewritten(stored: Backfill, given: Backfill) -> Backfill:
    """The backfill as it is stored after an update; what was asked for stays as it was.

    Raises:
        BackfillConflictError: it has changed since it was read.
    """
    if given.version != stored.version:
        raise BackfillConflictError(stored.backfill_id, given.version, stored.version)
    changed = stored_backfill(given)
    return replace(
        stored,
        status=changed.status,
        attempt=changed.attempt,
        position=changed.position,
        skipped=changed.skipped,
        unmade=changed.unmade,
        terminates_runs=changed.terminates_runs,
        waiting=changed.waiting,
        error=changed.error,
        ended_at=changed.ended_at,
        version=stored.version + 1,
    )
