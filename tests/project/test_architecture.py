"""The rules of the house: who imports whom, how long a file may be, what the library never does."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common import PATIENCE, REPOSITORY
from negah.cli.lazy import CommandGroup
from negah.cli.main import COMMANDS, run

PACKAGE = REPOSITORY / "src" / "negah"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 400


@functools.cache
def nodes_of(path: Path) -> list[ast.AST]:
    """All nodes of a file's syntax tree; several tests walk the same files."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def each_file(check: Callable[[Path], None]) -> Callable[[], None]:
    """One test of all files: thousands of tests of a millisecond would take half a minute."""

    def test() -> None:
        faults = []
        for path in SOURCES:
            try:
                check(path)
            except AssertionError as error:
                faults.append(f"{name_of(path)}: {error}")
        assert not faults, "\n".join(faults)

    test.__name__, test.__doc__ = check.__name__, check.__doc__
    return test


def test_the_import_contracts_hold() -> None:
    tool = Path(sys.executable).parent / "lint-imports"
    if not tool.exists():
        pytest.skip("import-linter is not installed; it comes with the dev extra")
    done = subprocess.run(
        [tool, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr


@each_file
def test_a_file_holds_one_idea(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MOST_LINES, f"{len(lines)} lines: split it"
    module = nodes_of(path)[0]
    assert isinstance(module, ast.Module)
    assert ast.get_docstring(module), "no docstring says what it is"


#: What is done in one way, by a pattern that doing it has to match, and where it is done.
ONE_PLACE = {
    "prefetching": (r"ThreadPoolExecutor\(", {"pipeline.py"}),
    "captioning with a PyTorch model": (r"TorchStepModel\(\w", {"models/adapter.py"}),
    "padding tensors": (r"\bpad_sequence\(", {"training/padding.py"}),
    "stemming": (r"\bstemWord\(", {"text/stems.py"}),
    "warm-up": (r"step \+ 1\) / ", {"training/schedule.py"}),
    "lines of a name and a sentence": (
        r"partition\(\"\\t\"\)", {"data/cells.py", "data/sentences.py"}
    ),
    "the files of a run": (
        r"^\w+ = \"(run\.json|best\.safetensors|checkpoint\.safetensors)\"", {"run_folder.py"}
    ),
    "types of arrays": (r"^\w+Array = npt\.NDArray", {"arrays.py"}),
    "a seed for the process": (
        r"torch\.manual_seed\(|default_generator\.manual_seed|np\.random\.seed|\brandom\.seed\(",
        {"models/seeding.py"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ONE_PLACE)
def test_each_thing_is_done_in_one_place(what: str) -> None:
    pattern, places = ONE_PLACE[what]
    found = {
        name_of(path)
        for path in SOURCES
        if re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert found == places


MOST_LINES_OF_A_FUNCTION = 80
MOST_PARAMETERS = 7
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def parameters_of(function: _Function) -> list[str]:
    """The names of a function's parameters, ``self`` and ``cls`` aside."""
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    names = [one.arg for one in every if one is not None]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def is_command(path: Path, function: _Function) -> bool:
    """Whether its parameters declare the options of a command."""
    declared = [*function.args.args, *function.args.kwonlyargs]
    return PACKAGE / "cli" in path.parents and any(
        one.annotation is not None and ast.unparse(one.annotation).startswith("Annotated")
        for one in declared
    )


def size_of(path: Path, function: _Function) -> int:
    """Lines of a function; of a command those after its declarations and its help."""
    last = function.end_lineno or function.lineno
    if is_command(path, function):
        return last - (function.body[0].end_lineno or function.lineno)
    return last - function.lineno + 1


@each_file
def test_a_function_is_held_in_the_head(path: Path) -> None:
    for node in nodes_of(path):
        if isinstance(node, _Function):
            lines, parameters = size_of(path, node), parameters_of(node)
            assert lines <= MOST_LINES_OF_A_FUNCTION, f"{node.name} has {lines} lines: split it"
            assert is_command(path, node) or len(parameters) <= MOST_PARAMETERS, (
                f"{node.name} has {len(parameters)} parameters: join those that belong together"
            )


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_at_once(body: list[ast.stmt], known: set[str]) -> Iterator[str]:
    """The modules of Negah that are imported when a module is, not when a function is called."""
    for node in body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in known else node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from imported_at_once([*node.body, *node.orelse], known)
        elif isinstance(node, ast.Try | ast.With):
            yield from imported_at_once(node.body, known)


def test_no_modules_import_each_other_in_a_circle() -> None:
    known = {module_of(path): path for path in SOURCES}
    imports = {}
    for module, path in known.items():
        tree = nodes_of(path)[0]
        assert isinstance(tree, ast.Module)
        imports[module] = set(imported_at_once(tree.body, set(known))) & known.keys()
    # take away whatever imports nothing that is left, again and again
    while free := [module for module, needs in imports.items() if not needs & imports.keys()]:
        for module in free:
            del imports[module]
    assert not imports, f"in or above a circle: {sorted(imports)}"


@each_file
def test_only_the_command_line_prints(path: Path) -> None:
    if PACKAGE / "cli" in path.parents:
        return
    calls = [
        node.lineno
        for node in nodes_of(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not calls, f"print() in lines {calls}: log instead"


#: Files that write by themselves, and why they may.
WRITERS = {
    "files.py": "the door itself",
    "targets.py": "opens devices and pipes for it",
    "bundle/writer.py": "puts the folder of a bundle in its place",
    "bundle/revise.py": "copies into a temporary folder",
    "cli/streams.py": "the null device for streams that are closed",
    "data/features.py": "grows the store of features, which is locked",
    "jobs/journal.py": "grows the journal of a job",
    "locks.py": "a lock",
    "export/weights.py": "writes into a temporary folder",
    "export/graphs.py": "renames the values of a graph, not files",
    "studies/made_of.py": "removes the note of a folder of its own",
    "training/reports.py": "grows the log of a run",
}
_MODES = {"w", "a", "x", "wb", "ab", "xb", "r+", "r+b", "w+", "w+b"}
_METHODS = {"write_text", "write_bytes", "touch", "symlink_to", "unlink", "rename"}
_FUNCTIONS = {
    *("os.open", "os.rename", "os.replace", "os.remove", "os.unlink"),
    *("shutil.copy", "shutil.copyfile", "shutil.move", "shutil.rmtree"),
}


@each_file
def test_files_are_written_through_one_door(path: Path) -> None:
    """Nothing is opened for writing, renamed or removed but what ``negah.files`` gives."""
    if name_of(path) in WRITERS:
        return
    found = []
    for node in nodes_of(path):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner, method = ast.unparse(node.func.value), node.func.attr
        modes = {given.value for given in node.args if isinstance(given, ast.Constant)}
        writes = method in _METHODS or (method == "open" and modes & _MODES)
        # the name under which atomic_path gives a temporary file, everywhere
        if (writes and owner not in ("temporary", "av")) or ast.unparse(node.func) in _FUNCTIONS:
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
    assert not found, f"{found}: use negah.files"


@each_file
def test_nothing_reads_pickles(path: Path) -> None:
    for node in nodes_of(path):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not {"pickle", "dill", "cloudpickle", "joblib"} & set(names)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "np.load"):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            safe = given.get("weights_only") == "True" or ast.unparse(node.func) == "np.load"
            assert safe, f"line {node.lineno}: torch.load without weights_only=True"
            assert given.get("allow_pickle", "False") == "False"


def commands(group: CommandGroup, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The words that call each command and each group."""
    found: list[tuple[str, ...]] = [above] if above else []
    for name, command in group.commands.items():
        deeper = isinstance(command, CommandGroup)
        found += commands(command, (*above, name)) if deeper else [(*above, name)]
    return found


@pytest.mark.parametrize("words", commands(COMMANDS), ids=" ".join)
def test_every_command_explains_itself(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"Usage: negah {' '.join(words)}" in out
    assert "--help" in out


@pytest.mark.parametrize(
    "arguments",
    [["caption", "nowhere.jpg"], ["caption", "--help"], ["evaluate", "--help"], ["data", "--help"]],
    ids=" ".join,
)
def test_commands_of_the_run_wing_load_no_pytorch(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\nfrom negah.cli.main import run\n"
        f"run({arguments!r})\nsys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr


#: Who may touch PyTorch's own generators or the handlers of signals, and why.
SEEDERS = {
    "models/seeding.py": "lends generators and gives them back",
}
LISTENERS = {
    "interrupt.py": "for whoever enters it; the library does not",
    "studies/run.py": "in a process of its own, which Ctrl-C is not for",
}


@each_file
def test_the_library_seeds_nothing_and_installs_no_handler(path: Path) -> None:
    """Its random numbers are its own, and Ctrl-C is the caller's."""
    if PACKAGE / "cli" in path.parents:
        return
    found = []
    for node in nodes_of(path):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        seeds = called in (
            *("torch.manual_seed", "torch.seed", "torch.cuda.manual_seed"),
            *("torch.get_rng_state", "torch.set_rng_state"),
            *("torch.random.manual_seed", "torch.random.fork_rng", "np.random.seed", "random.seed"),
            *("seed_everything", "torch.use_deterministic_algorithms"),
        ) or called.startswith("torch.default_generator.")
        listens = called in ("signal.signal", "Interrupt")
        if (seeds and name_of(path) not in SEEDERS) or (listens and name_of(path) not in LISTENERS):
            found.append(f"line {node.lineno}: {called}")
    assert not found, f"{found}: use negah.models.seeding, or let the command line do it"
