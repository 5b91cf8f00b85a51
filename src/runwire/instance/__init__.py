"""The instance and how it is configured."""

from runwire.instance.instance import HOME_VARIABLE, Instance
from runwire.instance.local_artifact_storage import LocalArtifactStorage
from runwire.instance.ref import InstanceRef
from runwire.instance.settings import ServerSettings, Settings

__all__ = [
    "HOME_VARIABLE",
    "Instance",
    "InstanceRef",
    "LocalArtifactStorage",
    "ServerSettings",
    "Settings",
]
