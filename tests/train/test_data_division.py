"""Parts for what comes without them: the same files for everybody who reads the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negah.data import Dataset, Example, check_no_leak, load_dataset, load_datasets, merge
from negah.data.division import divide, split_by_content
from negah.data.examples import OPEN
from negah.errors import DataError, UsageError
from negah.split import Division, SplitPolicy


def dataset(folder: Path, count: int, split: str = "train") -> Dataset:
    """Two spans of each file, the last file being a copy of the first."""
    folder.mkdir(exist_ok=True)
    examples = []
    for number in range(count):
        path = folder / f"{number}.mp4"
        path.write_text(str(number % max(1, count - 1)))
        for span in ((0.0, 1.0), (1.0, 2.0)):
            name = f"{path.name}#t={span[0]:g},{span[1]:g}"
            examples.append(Example(name, path, ("a clip",), split, span))
    return Dataset(folder.name, tuple(examples))


def parts(found: Dataset) -> list[str]:
    return [example.split for example in found.examples]


def division(found: Dataset) -> Division:
    assert found.division is not None
    return found.division


@pytest.mark.parametrize(("fraction", "files"), [(0.01, 1), (0.2, 2), (0.5, 5), (0.99, 9)])
def test_whole_files_of_the_part_train_are_held_out(
    tmp_path: Path, fraction: float, files: int
) -> None:
    before = dataset(tmp_path, 11)
    (found,) = divide([before], SplitPolicy(dev_fraction=fraction))
    assert [e.name for e in found.examples] == [e.name for e in before.examples]
    shown = {split: {e.path.read_text() for e in found.split(split)} for split in ("train", "dev")}
    assert not shown["train"] & shown["dev"]
    assert (len(shown["train"]), len(shown["dev"])) == (10 - files, files)
    spans = len(found.split("dev"))
    assert division(found).text == (
        f"of the part train, {100 * fraction:g}% ({spans} clips) were held out as dev"
    )
    check_no_leak(found)


def test_what_stays_as_it_is(tmp_path: Path) -> None:
    train, dev = dataset(tmp_path / "train", 4), dataset(tmp_path / "dev", 1, "dev")
    both = Dataset("both", (*train.examples, *dev.examples))
    cases = [
        ([both], SplitPolicy(dev_fraction=0.5)),  # there is a dev part
        ([train, dev], SplitPolicy(dev_fraction=0.5)),  # there is one in the other
        ([train], SplitPolicy(dev_fraction=0.0)),  # none is wanted
        ([dataset(tmp_path / "one", 1)], SplitPolicy(dev_fraction=0.5)),  # the last file stays
        ([train], None),  # no policy
    ]
    for given_, policy in cases:
        found = divide(given_, policy)
        assert [parts(one) for one in found] == [parts(one) for one in given_]
        assert not any(one.division is not None and one.division.text for one in found)


def test_several_data_sets_are_divided_as_one(tmp_path: Path) -> None:
    apart = [dataset(tmp_path / "one", 5), dataset(tmp_path / "two", 9)]
    policy = SplitPolicy(dev_fraction=0.3)
    found = divide(apart, policy)
    (together,) = divide([merge(apart)], policy)
    assert [split for one in found for split in parts(one)] == parts(together)
    assert [example.name for example in found[0].examples] == [e.name for e in apart[0].examples]
    assert merge(found).division == together.division
    # one that could have been divided, and one that was not, are not divided by one policy
    assert merge([found[0], apart[1]]).division is None


def files(folder: Path, parts: str, names: str = "") -> Dataset:
    """A file for each letter of ``parts``: t(rain), d(ev), e for test, n(one), - without a part."""
    folder.mkdir(exist_ok=True)
    of = {"t": "train", "d": "dev", "e": "test", "n": "none", "-": OPEN}
    examples = []
    for number, (letter, name) in enumerate(zip(parts, names or "abcdefgh", strict=False)):
        path = folder / f"{name}.jpg"
        path.write_text(f"photo {name}")
        examples.append(Example(path.name, path, (f"caption {number}",), of[letter]))
    return Dataset(folder.name, tuple(examples))


@pytest.mark.parametrize("policy", [SplitPolicy(), SplitPolicy(dev_fraction=0.5), None])
def test_a_file_has_the_part_that_it_has_in_another_data_set(
    tmp_path: Path, policy: SplitPolicy | None
) -> None:
    """Further captions of known photos, in the same folder, in another, or under another name."""
    people = files(tmp_path / "photos", "ttden")
    here = Dataset("here", files(tmp_path / "photos", "-----").examples)
    there = files(tmp_path / "there", "-----")
    found = divide([people, here, there], policy)
    assert [parts(one) for one in found] == [["train", "train", "dev", "test", "none"]] * 3
    assert policy is None or [division(one).open for one in found] == [0, 0, 0]
    check_no_leak(merge(found))


def test_what_is_held_out_of_the_part_train_is_so_in_further_captions(tmp_path: Path) -> None:
    """As many as without them, and the same photos."""
    people, policy = files(tmp_path / "photos", "tttttttt"), SplitPolicy(dev_fraction=0.25)
    (alone,) = divide([people], policy)
    further = Dataset("further", files(tmp_path / "photos", "--------").examples)
    first, second = divide([people, further], policy)
    assert parts(first) == parts(second) == parts(alone)
    assert parts(alone).count("dev") == 2


def test_further_captions_of_a_file_in_two_parts_are_refused(tmp_path: Path) -> None:
    one, other = files(tmp_path / "one", "t"), files(tmp_path / "other", "d")
    found = divide([one, other, files(tmp_path / "third", "-")], SplitPolicy(dev_fraction=0))
    with pytest.raises(DataError, match="in more than one part"):
        check_no_leak(merge(found))


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """Its content would decide. Linux gives a file that opens and cannot be read."""
    if not Path("/proc/self/mem").exists():
        pytest.skip("needs /proc/self/mem")
    for split in ("train", OPEN):
        good = dataset(tmp_path / (split or "open"), 3, split)
        path = good.examples[0].path.with_name("lost.mp4")
        path.symlink_to("/proc/self/mem")
        lost = Example(path.name, path, ("a clip",), split)
        policy = SplitPolicy(dev_fraction=0.4)
        (found,) = divide([Dataset("clips", (*good.examples, lost))], policy)
        assert [e.name for e in found.examples] == [e.name for e in good.examples]
        (problem,) = found.problems
        assert (problem.kind, problem.name) == ("missing clip", "lost.mp4")
        assert problem.message.startswith("cannot be read: ")
        with pytest.raises(DataError, match=r"clips: no file can be read.*lost\.mp4"):
            divide([Dataset("clips", (lost,))], policy)


def numbered(folder: Path, count: int, rename: Callable[[int], str]) -> Dataset:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / rename(number)).write_bytes(f"content {number}".encode())
    names = sorted(path.name for path in folder.iterdir())
    rows = "".join(f"{name},caption\n" for name in names)
    (folder / "captions.csv").write_text("image,caption\n" + rows)
    return load_dataset(folder, split=SplitPolicy(dev_fraction=0.2, test_fraction=0.1))


def test_held_out_pictures_follow_their_content_not_their_name(tmp_path: Path) -> None:
    first = numbered(tmp_path / "first", 400, lambda number: f"{number}.jpg")
    second = numbered(tmp_path / "second", 500, lambda number: f"z{1000 - number}.jpg")
    by_content = [
        {example.path.read_bytes(): example.split for example in dataset.examples}
        for dataset in (first, second)
    ]
    assert by_content[0].items() <= by_content[1].items()
    sizes = Counter(parts(first))
    assert 55 < sizes["dev"] < 105
    assert 20 < sizes["test"] < 60
    assert division(first).text == (
        f"of 400 photos without a part, 20% ({sizes['dev']}) were held out as dev and "
        f"10% ({sizes['test']}) as test"
    )
    check_no_leak(merge([first, second]))
    # what has no part counts as train where no policy is asked for
    alone = load_datasets([tmp_path / "first"])
    assert (set(parts(alone)), alone.division) == ({"train"}, None)


@given(st.text("0123456789abcdef", min_size=64, max_size=64))
def test_changing_one_fraction_does_not_move_the_other_part(sha256: str) -> None:
    def part(dev: float, test: float) -> str:
        return split_by_content(sha256, SplitPolicy(dev_fraction=dev, test_fraction=test))

    small, larger = part(0.1, 0.1), part(0.3, 0.1)
    assert (small == "test") == (larger == "test")
    assert small != "dev" or larger == "dev"
    assert part(0.0, 0.0) == "train"


@pytest.mark.parametrize(
    ("dev", "test"), [(-0.1, 0.0), (0.5, 0.5), (1.0, 0.0), (float("nan"), 0.0)]
)
def test_impossible_fractions_are_refused(dev: float, test: float) -> None:
    with pytest.raises(UsageError, match=r"mine: .*(less than 1|greater than or equal|finite)"):
        SplitPolicy.parse({"dev_fraction": dev, "test_fraction": test}, where="mine")
