"""Loading the definitions of a source, the same way in a code server and in its run workers."""

from __future__ import annotations

from runwire.definitions import RepositoryDefinition
from runwire.definitions.load import load_file, load_module
from runwire.locations.protocol import DefinitionSource


def load_definitions(source: DefinitionSource) -> tuple[RepositoryDefinition, ...]:
    """Imports the user's file or module, and takes its repositories.

    Raises:
        DefinitionLoadError: user code raised.
        InvalidDefinitionError: there is no such file, module or attribute, or no valid definition.
    """
    if source.python_file is not None:
        return load_file(
            source.python_file,
            attribute=source.attribute,
            working_directory=source.working_directory,
        )
    return load_module(
        source.module, attribute=source.attribute, working_directory=source.working_directory
    )
