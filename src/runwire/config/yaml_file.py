"""Reading YAML files strictly: a mapping of keys, no key twice, and no more than a file's worth of values."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from runwire.config.environment import resolve_env
from runwire.errors import ConfigProblem, InvalidConfigurationError

MAX_REPEATED = 10_000
"""How many values the aliases of a file may repeat in all."""


_MERGE_TAG = "tag:yaml.org,2002:merge"


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that is written twice, which YAML's default quietly lets win, and aliases that repeat too much.

    A few lines of aliases to values with aliases stand for billions of values, which whoever walks through
    them would visit one by one. So a node counts with all that its aliases repeat, before any is built.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._nodes = 0
        self._repeated = 0
        self._sizes: dict[yaml.Node, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        is_alias = self.check_event(yaml.AliasEvent)
        before = self._nodes
        node = super().compose_node(parent, index)
        if node is None:
            return None
        if is_alias:
            self._repeat(node)
        else:
            self._nodes += 1
            self._sizes[node] = self._nodes - before
        return node

    def _repeat(self, node: yaml.Node) -> None:
        size = self._sizes.get(node, 1)  # one that is not whole yet refers to itself
        self._nodes += size
        self._repeated += size
        if self._repeated > MAX_REPEATED:
            problem = f"aliases repeat this and others, more than {MAX_REPEATED} values in all; write them out"
            raise yaml.composer.ComposerError(None, None, problem, node.start_mark)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE_TAG:
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str) -> Any:
    """The value that a text in YAML has.

    Raises:
        yaml.YAMLError, ValueError, TypeError: it is not YAML, or has a key twice, or repeats too much.
        RecursionError: it is nested too deeply.
    """
    return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader


def read_yaml(source: Path) -> dict[str, Any]:
    """The keys and values of a file as written; none when it is empty.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidConfigurationError: it cannot be read, or is not a mapping in YAML.
    """
    try:
        text = source.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        problem = ConfigProblem((), f"cannot be read: {error}", "unreadable")
        raise InvalidConfigurationError(str(source), [problem]) from None
    try:
        value = parse_yaml(text)
    except RecursionError:
        raise _too_deep(source) from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        message = " ".join(str(error).split())
        problem = ConfigProblem((), f"is not YAML: {message}", "yaml")
        raise InvalidConfigurationError(str(source), [problem]) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        problem = ConfigProblem((), "must be a mapping of keys to values", "mapping")
        raise InvalidConfigurationError(str(source), [problem])
    return {str(key): item for key, item in value.items()}


def with_env(written: dict[str, Any], source: Path) -> tuple[dict[str, Any], list[ConfigProblem]]:
    """What was written in a file with its `env:` looked up, and a problem for each variable that is not set.

    Raises:
        InvalidConfigurationError: it is nested too deeply to look.
    """
    try:
        return resolve_env(written)
    except RecursionError:
        raise _too_deep(source) from None


def _too_deep(source: Path) -> InvalidConfigurationError:
    problem = ConfigProblem((), "is nested too deeply, or refers to itself", "yaml")
    return InvalidConfigurationError(str(source), [problem])
