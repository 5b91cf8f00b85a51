"""Tags are checked with the path to what is wrong."""

import pytest

from runwire.errors import InputInvalidError
from runwire.runs.tags import MAX_TAGS, PRIORITY_TAG, check_tags, merged


def test_good_tags_pass_in_order() -> None:
    assert check_tags([("b", "1"), ("a", ""), (PRIORITY_TAG, "3")], ()) == {
        "b": "1",
        "a": "",
        PRIORITY_TAG: "3",
    }


@pytest.mark.parametrize(
    ("tag", "field"),
    [
        (("", "v"), "key"),
        (("k" * 257, "v"), "key"),
        (("runwire/parent_run_id", "v"), "key"),
        (("ok", "again"), "key"),
        (("k", "v" * 4097), "value"),
        (("k", "\udc80"), "value"),
        (("\udc80", "v"), "key"),
    ],
)
def test_a_bad_tag_is_refused_with_its_path(tag: tuple[str, str], field: str) -> None:
    with pytest.raises(InputInvalidError) as refused:
        check_tags([("ok", "v"), tag], ("tags",))
    assert refused.value.path == ("tags", "1", field)


def test_too_many_tags_are_refused() -> None:
    with pytest.raises(InputInvalidError, match="at most 200 tags"):
        check_tags([(str(i), "") for i in range(MAX_TAGS + 1)], ("tags",))


def test_a_later_layer_wins() -> None:
    assert merged({"a": "1", "b": "1"}, {"b": "2"}) == {"a": "1", "b": "2"}
