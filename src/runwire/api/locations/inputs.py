"""How a job is named."""

from __future__ import annotations

import strawberry
from strawberry import UNSET

from runwire.api.rows import given
from runwire.workspace import JobSelector as JobSelectorRow


@strawberry.input(
    description="Names a job. Repository and code location are needed only where its name is ambiguous."
)
class JobSelector:
    """Names a job."""

    job_name: str = strawberry.field(description="The name of the job.")
    repository_name: str | None = strawberry.field(
        description="The name of its repository.", default=UNSET
    )
    location_name: str | None = strawberry.field(
        description="The name of its code location.", default=UNSET
    )

    def to_selector(self) -> JobSelectorRow:
        """The selector of the layers below."""
        return JobSelectorRow(self.job_name, given(self.repository_name), given(self.location_name))
