"""Laws of the settings of Visual Studio Code: associations are added, and not one other character changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filestore.cli.vscode import UnmergeableError, association, find_workspace, merge_settings, write_settings
from filestore.codec import JSONObject

WANTED = [association("evals/cases"), association("evals/others")]
OTHER = {"fileMatch": ["/package.json"], "url": "https://example.com/package.json"}
STALE = {"fileMatch": ["/moved/*.json"], "url": WANTED[0]["url"]}

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KNOWN = st.lists(st.sampled_from([OTHER, STALE, *WANTED]) | st.text(max_size=3), max_size=3)
INDENTS = st.sampled_from([None, 0, 2, 4, "\t"])


@st.composite
def settings_texts(draw: st.DrawFn) -> str:
    """Settings with other keys around the associations, spelled in any way that JSON allows."""
    others = draw(st.dictionaries(st.text(max_size=12), VALUES, max_size=4))
    items = list(others.items())
    if draw(st.booleans()):
        items.insert(draw(st.integers(0, len(items))), ("json.schemas", draw(KNOWN)))
    text = json.dumps(dict(items), indent=draw(INDENTS), ensure_ascii=draw(st.booleans()))
    text = draw(st.sampled_from(["", " ", "\n"])) + text + draw(st.sampled_from(["", "\n", "\n\n"]))
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


def is_ours(one: object) -> bool:
    return isinstance(one, dict) and one.get("url") in [ours["url"] for ours in WANTED]


@given(settings_texts())
def test_all_settings_are_kept_and_the_associations_are_there(text: str) -> None:
    before = json.loads(text)
    after = json.loads(merge_settings(text, WANTED))
    assert {**after, "json.schemas": None} == {**before, "json.schemas": None}
    merged = after["json.schemas"]
    assert [one for one in merged if not is_ours(one)] == [
        one for one in before.get("json.schemas", []) if not is_ours(one)
    ]
    assert all(ours in merged for ours in WANTED)


@given(settings_texts())
def test_a_second_time_changes_nothing(text: str) -> None:
    once = merge_settings(text, WANTED)
    assert merge_settings(once, WANTED) == once


@given(settings_texts())
def test_only_the_one_member_is_written(text: str) -> None:
    """Without its associations, what was there is there still, character by character."""
    if "json.schemas" in json.loads(text):
        return  # their value is written anew, between the text before and after it
    after = merge_settings(text, WANTED)
    start = common_length(text, after)
    end = common_length(text[start:][::-1], after[start:][::-1])
    assert text[start : len(text) - end].strip() == ""


def common_length(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


ONE: JSONObject = {"url": "x"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '{\n    "json.schemas": [\n        {\n            "url": "x"\n        }\n    ]\n}\n'),
        ("{}", '{\n    "json.schemas": [\n        {\n            "url": "x"\n        }\n    ]\n}'),
        (
            '{\n  "a": [1, 2]\n}\n',
            '{\n  "a": [1, 2],\n  "json.schemas": [\n    {\n      "url": "x"\n    }\n  ]\n}\n',
        ),
        (
            '{\n\t"json.schemas": [],\n\t"a": {"b": 1}\n}',
            '{\n\t"json.schemas": [\n\t\t{\n\t\t\t"url": "x"\n\t\t}\n\t],\n\t"a": {"b": 1}\n}',
        ),
        (
            '{\r\n  "a": 1\r\n}\r\n',
            '{\r\n  "a": 1,\r\n  "json.schemas": [\r\n    {\r\n      "url": "x"\r\n    }\r\n  ]\r\n}\r\n',
        ),
    ],
    ids=["missing", "empty", "indented", "with tabs", "of Windows"],
)
def test_it_is_written_in_the_manner_of_the_file(before: str, after: str) -> None:
    assert merge_settings(before, [ONE]) == after


REFUSED = {
    "a comment": '{\n  // mine\n  "a": 1\n}\n',
    "a trailing comma": '{\n  "a": 1,\n}\n',
    "a key that stands twice": '{"a": 1, "a": 2}',
    "a list": "[]",
    "no list of associations": '{"json.schemas": {}}',
    "half a file": '{"a": ',
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_kept_is_not_touched(text: str, tmp_path: Path) -> None:
    path = tmp_path / ".vscode" / "settings.json"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UnmergeableError, match="left as it is") as refused:
        write_settings(tmp_path, WANTED)
    assert refused.value.snippet == {"json.schemas": WANTED}
    assert path.read_text(encoding="utf-8") == text
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_made_where_there_is_none_and_written_only_once(tmp_path: Path) -> None:
    path = write_settings(tmp_path, WANTED)
    assert path == tmp_path / ".vscode" / "settings.json"
    assert json.loads(path.read_bytes()) == {"json.schemas": WANTED}
    before = path.stat()
    assert write_settings(tmp_path, WANTED) is None
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert list(path.parent.iterdir()) == [path]


def test_a_link_stays_one_and_permissions_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text("{}", encoding="utf-8")
    (tmp_path / "mine.json").chmod(0o600)
    (tmp_path / ".vscode").mkdir()
    (tmp_path / ".vscode" / "settings.json").symlink_to("../mine.json")
    assert write_settings(tmp_path, WANTED) is not None
    assert (tmp_path / ".vscode" / "settings.json").is_symlink()
    assert json.loads((tmp_path / "mine.json").read_bytes()) == {"json.schemas": WANTED}
    assert (tmp_path / "mine.json").stat().st_mode & 0o777 == 0o600


def test_the_workspace_is_the_repository_or_else_the_root(tmp_path: Path) -> None:
    root = tmp_path / "evals" / "data"
    root.mkdir(parents=True)
    assert find_workspace(root) == root
    (tmp_path / ".git").write_text("gitdir: elsewhere\n", encoding="utf-8")  # as in a worktree or a submodule
    assert find_workspace(root) == tmp_path
