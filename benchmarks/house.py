"""The figures of the code's shape: lengths, parameters, docstrings, comments; and what one run passes through.

python benchmarks/house.py [FOLDER…]        a row for each folder (default: fleetpmap and tests)
python benchmarks/house.py --run            modules, functions and public classes that one run passes through
"""

from __future__ import annotations

import ast
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from types import FrameType
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_NESTS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match)
_BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.ExceptHandler, ast.comprehension, ast.match_case, ast.Assert)


class Function(NamedTuple):
    """One function, methods and nested ones included."""

    lines: int
    body: int
    """Lines without the signature and the docstring."""
    parameters: int
    nesting: int
    branches: int
    """Cyclomatic complexity, as McCabe counts it."""
    is_public: bool
    has_docstring: bool


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function of a module."""
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTION):
            docstring = ast.get_docstring(node, clean=False)
            first = node.body[1] if docstring and len(node.body) > 1 else node.body[0]
            arguments = node.args
            yield Function(
                lines=(node.end_lineno or 0) - node.lineno + 1,
                body=(node.end_lineno or 0) - first.lineno + 1,
                parameters=len(arguments.args) + len(arguments.kwonlyargs) + len(arguments.posonlyargs),
                nesting=_nesting(node),
                branches=1 + sum(_weight(inner) for inner in ast.walk(node)),
                is_public=not node.name.startswith("_"),
                has_docstring=docstring is not None,
            )


def row(folder: Path) -> str:
    """The figures of a folder, as one line."""
    paths = sorted(folder.rglob("*.py"))
    trees = [ast.parse(path.read_text()) for path in paths]
    lengths = [path.read_text().count("\n") for path in paths]
    found = [function for tree in trees for function in functions(tree)]
    public = [function for function in found if function.is_public]
    classes = sum(
        isinstance(node, ast.ClassDef) and not node.name.startswith("_") for tree in trees for node in tree.body
    )
    return "  ".join(
        (
            f"{folder.name}: {len(paths)} files, {sum(lengths):,} lines, a file {_spread(lengths)}",
            f"{len(found):,} functions, lines {_spread([one.lines for one in found])}",
            f"body {_spread([one.body for one in found])}",
            f"up to 30 lines {_share(one.lines <= 30 for one in found)}",
            f"public ones with docstring {_share(one.has_docstring for one in public)}",
            f"comments {100 * sum(map(_comments, paths)) / sum(lengths):.1f} in 100 lines",
            f"parameters {_spread([one.parameters for one in found])}",
            f"nesting {_spread([one.nesting for one in found])}",
            f"branches {_spread([one.branches for one in found])}",
            f"{classes} public classes",
        )
    )


def passed_through(arguments: list[str]) -> str:
    """Run the program with these arguments, and count our own code that it passes through."""
    import fleetpmap
    from fleetpmap.cli import main

    home = str(Path(fleetpmap.__file__).parent)
    seen: set[tuple[str, str]] = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(home):
            seen.add((frame.f_code.co_filename, frame.f_code.co_qualname))

    import threading

    threading.setprofile(note)
    sys.setprofile(note)
    sys.argv = ["fleetpmap", *arguments]
    try:
        main()
    except SystemExit:
        pass
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]  # the stubs do not know that None ends it
    called = {(path, name) for path, name in seen if name != "<module>"}
    classes = {(path, name.split(".")[0]) for path, name in called if name[0].isupper() and "." in name}
    return f"{len({path for path, _ in called})} modules, {len(called)} functions, {len(classes)} public classes"


def _spread(values: list[int]) -> str:
    """Median, 90th percentile and greatest."""
    return f"{median(values):g}/{sorted(values)[int(0.9 * (len(values) - 1))]}/{max(values)}"


def _share(flags: Iterator[bool]) -> str:
    all_flags = list(flags)
    return f"{sum(all_flags) / max(1, len(all_flags)):.0%}"


def _nesting(node: ast.AST, depth: int = 0) -> int:
    inner = [_nesting(child, depth + isinstance(child, _NESTS)) for child in ast.iter_child_nodes(node)]
    return max([depth, *inner])


def _weight(node: ast.AST) -> int:
    return len(node.values) - 1 if isinstance(node, ast.BoolOp) else isinstance(node, _BRANCHES)


def _comments(path: Path) -> int:
    with path.open("rb") as file:
        return sum(
            token.type == tokenize.COMMENT and not token.string.startswith(("# noqa", "# type:", "#!"))
            for token in tokenize.tokenize(file.readline)
        )


def main(*arguments: str) -> int:
    """Print what was asked for."""
    if arguments[:1] == ("--run",):
        print(
            passed_through(list(arguments[1:]) or ["demo", "--match", "gunicorn", "--format", "plain"]), file=sys.stderr
        )
        return 0
    for folder in arguments or ("fleetpmap", "tests"):
        print(row(ROOT / folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
