"""runwire: a run-orchestration instance that you talk to over GraphQL."""

from runwire.definitions import (
    DEFAULT_OUTPUT,
    AssetKey,
    AssetMaterialization,
    ExecutorDefinition,
    Failure,
    In,
    MetadataValue,
    OpContext,
    Out,
    Output,
    ResourceContext,
    in_process_executor,
    job,
    multiprocess_executor,
    op,
    repository,
    resource,
)

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_OUTPUT",
    "AssetKey",
    "AssetMaterialization",
    "ExecutorDefinition",
    "Failure",
    "In",
    "MetadataValue",
    "OpContext",
    "Out",
    "Output",
    "ResourceContext",
    "__version__",
    "in_process_executor",
    "job",
    "multiprocess_executor",
    "op",
    "repository",
    "resource",
]
