"""The Python client of a runwire server: make runs, follow them live, report events.

```python
with RunwireClient() as client:
    run = client.submit_run("daily_report").run
    for batch in client.follow_run(run.run_id):
        for event in batch.records:
            print(event.position, event.message)
```
"""

from runwire.client.client import DEFAULT_URL, RunwireClient
from runwire.client.errors import (
    ClientError,
    NotAuthorizedError,
    ProtocolViolatedError,
    RequestFailedError,
    RequestRefusedError,
    ServerUnreachableError,
)
from runwire.client.following import Outage, ReconnectPolicy
from runwire.client.records import (
    BulkFailure,
    BulkRefusal,
    CodeLocation,
    DaemonHeartbeat,
    DaemonStatus,
    DeletedRuns,
    DetailedRunStats,
    ErrorInfo,
    ReportedEvent,
    RunDetail,
    RunEvent,
    RunEventsBatch,
    RunFailure,
    RunOrigin,
    RunPage,
    RunStats,
    RunSummary,
    StoppedRun,
    SubmittedRun,
    Tag,
    TerminatedRuns,
)

__all__ = [
    "DEFAULT_URL",
    "BulkFailure",
    "BulkRefusal",
    "ClientError",
    "CodeLocation",
    "DaemonHeartbeat",
    "DaemonStatus",
    "DeletedRuns",
    "DetailedRunStats",
    "ErrorInfo",
    "NotAuthorizedError",
    "Outage",
    "ProtocolViolatedError",
    "ReconnectPolicy",
    "ReportedEvent",
    "RequestFailedError",
    "RequestRefusedError",
    "RunDetail",
    "RunEvent",
    "RunEventsBatch",
    "RunFailure",
    "RunOrigin",
    "RunPage",
    "RunStats",
    "RunSummary",
    "RunwireClient",
    "ServerUnreachableError",
    "StoppedRun",
    "SubmittedRun",
    "Tag",
    "TerminatedRuns",
]
