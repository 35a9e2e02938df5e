"""One picture in two parts is refused, whatever it is called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negah.data import Dataset, Example, check_no_leak, same_files
from negah.errors import DataError


def dataset(folder: Path, pictures: Sequence[tuple[int, str]]) -> Dataset:
    """One example for each (content, part)."""
    examples = []
    for number, (content, split) in enumerate(pictures):
        path = folder / f"{number}.jpg"
        path.write_bytes(bytes([content]) * 100)
        examples.append(Example(path.name, path, ("x",), split))
    return Dataset("mine", tuple(examples))


def test_a_copy_under_another_name_is_found(tmp_path: Path) -> None:
    leaking = dataset(tmp_path, [(1, "train"), (2, "train"), (1, "test"), (3, "dev"), (3, "none")])
    with pytest.raises(DataError) as raised:
        check_no_leak(leaking)
    assert str(raised.value) == (
        "mine: 1 image stands in more than one part: 0.jpg (train) = 2.jpg (test). "
        "Remove the copies, or put all copies of an image into one part."
    )
    assert [[example.name for example in group] for group in same_files(leaking.examples)] == [
        ["0.jpg", "2.jpg"],
        ["3.jpg", "4.jpg"],
    ]


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["train", "dev", "test", "none"])), max_size=8
    )
)
def test_refused_exactly_when_one_content_is_in_two_used_parts(
    tmp_path_factory: pytest.TempPathFactory, pictures: list[tuple[int, str]]
) -> None:
    parts: dict[int, set[str]] = {}
    for content, split in pictures:
        parts.setdefault(content, set()).add(split)
    made = dataset(tmp_path_factory.mktemp("data"), pictures)
    if any(len(splits - {"none"}) > 1 for splits in parts.values()):
        with pytest.raises(DataError, match="in more than one part"):
            check_no_leak(made)
    else:
        check_no_leak(made)


def test_many_leaks_are_counted_and_the_first_few_named(tmp_path: Path) -> None:
    pictures = [(number, split) for split in ("train", "test") for number in range(40)]
    with pytest.raises(DataError, match=r"40 images stand in .*; and 35 more\. Remove") as raised:
        check_no_leak(dataset(tmp_path, pictures))
    assert len(str(raised.value)) < 500


def test_a_name_listed_twice_is_refused(tmp_path: Path) -> None:
    (example,) = dataset(tmp_path, [(1, "train")]).examples
    with pytest.raises(DataError, match=r"listed more than once, such as '0\.jpg'"):
        check_no_leak(Dataset("mine", (example, example)))


def test_files_that_vanished_do_not_matter_here(tmp_path: Path) -> None:
    made = dataset(tmp_path, [(1, "train"), (1, "test")])
    made.examples[1].path.unlink()
    check_no_leak(made)
