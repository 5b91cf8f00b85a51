"""What an operation selects below a field."""

from __future__ import annotations

from collections.abc import Mapping

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
)

from runwire.api.context import ApiInfo


def selects(info: ApiInfo, name: str) -> bool:
    """Whether a field of a name is selected anywhere below the field that is resolved, or may be."""
    raw = info._raw_info  # noqa: SLF001 - `selected_fields` makes objects of all that is selected first
    return any(_is_below(node.selection_set, name, raw.fragments) for node in raw.field_nodes)


def _is_below(
    selected: SelectionSetNode | None, name: str, fragments: Mapping[str, FragmentDefinitionNode]
) -> bool:
    return selected is not None and any(
        _is_in(each, name, fragments) for each in selected.selections
    )


def _is_in(
    selection: SelectionNode, name: str, fragments: Mapping[str, FragmentDefinitionNode]
) -> bool:
    match selection:
        case FieldNode():
            is_it = selection.name.value == name
            return is_it or _is_below(selection.selection_set, name, fragments)
        case FragmentSpreadNode():
            spread = fragments[selection.name.value]
            return _is_below(spread.selection_set, name, fragments)
        case InlineFragmentNode():
            return _is_below(selection.selection_set, name, fragments)
        case _:
            return False
