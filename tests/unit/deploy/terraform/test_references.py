"""Every reference between and within the modules leads somewhere; every input is given."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from .configuration import ROOT, Module, everything, module, modules, text

ALL = modules()
PROVIDED = {"source", "count", "for_each", "providers", "depends_on", "version"}

_VARIABLE = re.compile(r"\bvar\.(\w+)")
_LOCAL = re.compile(r"\blocal\.(\w+)")
_DATA = re.compile(r"\bdata\.(aws_\w+)\.(\w+)")
_RESOURCE = re.compile(r"(?<!data\.)\b(aws_\w+)\.(\w+)")
_MODULE = re.compile(r"\bmodule\.(\w+)((?:\[[^\]]*\])?)(?:\.(\w+))?")
_LOOP = re.compile(r"\bfor (?:\w+, )?(\w+) in module\.(\w+)\b")


def ids(each: Module) -> str:
    return each.name


def expressions(of: Module) -> Iterator[tuple[str, str]]:
    for where, block in everything(of):
        for expression in text(block):
            yield where, expression


@pytest.mark.parametrize("of", ALL, ids=ids)
def test_every_reference_is_declared(of: Module) -> None:
    for where, expression in expressions(of):
        for name in _VARIABLE.findall(expression):
            assert name in of.variables, f"{where}: var.{name}"
        for name in _LOCAL.findall(expression):
            assert name in of.locals, f"{where}: local.{name}"
        for address in _DATA.findall(expression):
            assert address in of.data, f"{where}: data.{'.'.join(address)}"
        for address in _RESOURCE.findall(expression):
            assert address in of.resources, f"{where}: {'.'.join(address)}"


@pytest.mark.parametrize("of", ALL, ids=ids)
def test_every_output_that_is_asked_for_exists(of: Module) -> None:
    for where, expression in expressions(of):
        for call, _, output in _MODULE.findall(expression):
            assert call in of.calls, f"{where}: module.{call}"
            if output:
                assert output in of.called(call).outputs, f"{where}: module.{call}.{output}"
        for each, call in _LOOP.findall(expression):
            for output in re.findall(rf"(?<![\w.]){each}\.(\w+)", expression):
                assert output in of.called(call).outputs, f"{where}: {each}.{output}"


@pytest.mark.parametrize("of", ALL, ids=ids)
def test_every_input_is_declared_and_given(of: Module) -> None:
    for call, block in of.calls.items():
        declared = of.called(call).variables
        given = set(block) - PROVIDED
        assert given <= set(declared), f"{of.name}: module {call}"
        needed = {name for name, variable in declared.items() if "default" not in variable}
        assert needed <= given, f"{of.name}: module {call}"


@pytest.mark.parametrize("of", ALL, ids=ids)
def test_nothing_is_declared_in_vain(of: Module) -> None:
    used = " ".join(
        expression for where, expression in expressions(of) if ": variables" not in where
    )
    for name in of.variables:
        assert re.search(rf"\bvar\.{name}\b", used), f"{of.name}: var.{name}"
    for name in of.locals:
        assert re.search(rf"\blocal\.{name}\b", used), f"{of.name}: local.{name}"


@pytest.mark.parametrize("of", ALL, ids=ids)
def test_variables_are_typed_and_described_and_outputs_described(of: Module) -> None:
    for name, variable in of.variables.items():
        assert variable.get("type"), f"{of.name}: {name} has no type"
        assert variable.get("description", "").endswith((".", "!")), f"{of.name}: {name}"
    for name, output in of.outputs.items():
        assert output.get("description", "").endswith("."), f"{of.name}: output {name}"


def test_every_module_is_called() -> None:
    called = {of.called(call).path for of in ALL for call in of.calls}
    assert called == {of.path for of in ALL} - {ROOT}


def test_outputs_of_modules_are_used() -> None:
    for of in ALL[1:]:
        callers = [
            (caller, call)
            for caller in ALL
            for call in caller.calls
            if caller.called(call).path == of.path
        ]
        for output in of.outputs:
            used = any(
                re.search(rf"\bmodule\.{call}\b|\bin module\.{call}\b", expression)
                and re.search(rf"\.{output}\b", expression)
                for caller, call in callers
                for _, expression in expressions(caller)
            )
            assert used, f"{of.name}: output {output}"


def test_the_root_is_read() -> None:
    assert {"database", "dr", "iam"} <= set(module(ROOT).calls)
