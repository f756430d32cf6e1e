"""Dataclasses of options as the parameters of a command.   options ─► [option_groups] ─► typer"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from functools import cache, wraps
from typing import Any, get_type_hints

import typer

from fleetpmap.errors import UsageError


def with_groups(command: Callable[..., int]) -> Callable[..., None]:
    """Give a command the options of every dataclass among its parameters, and exit with the status that it returns.

    def run(which: HostOptions, how: RunningOptions) -> int   becomes   run(inventory=…, host=…, …, jobs=…, …)
    """
    groups = {name: kind for name, kind in get_type_hints(command).items() if name != "return"}
    options = {name: _parameters(kind) for name, kind in groups.items()}

    @wraps(command)
    def run(**values: Any) -> None:
        _refuse_empty(values)
        built = {
            name: kind(**{parameter.name: values[parameter.name] for parameter in options[name]})
            for name, kind in groups.items()
        }
        raise typer.Exit(command(**built))

    parameters = [parameter for group in options.values() for parameter in group]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads the options from
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _refuse_empty(values: Mapping[str, Any]) -> None:
    """Refuse empty values: an unset variable of a script must not select every process, as no option would.

    Raises:
        UsageError: an option's value is empty.
    """
    for name, value in values.items():
        if value == "" or (isinstance(value, list) and "" in value):
            raise UsageError(f"--{name.replace('_', '-')} is empty", hint="give it a value, or leave it out")


@cache  # commands share the groups, and reading type hints takes time
def _parameters(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            option.name, inspect.Parameter.KEYWORD_ONLY, default=_default(option), annotation=hints[option.name]
        )
        for option in fields(group)
    ]


def _default(option: Field[Any]) -> Any:
    if option.default_factory is not MISSING:
        return option.default_factory()
    return inspect.Parameter.empty if option.default is MISSING else option.default
