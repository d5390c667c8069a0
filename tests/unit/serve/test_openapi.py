import re
from pathlib import Path

import pytest

from tapewatch.serve.openapi import describe
from tapewatch.serve.operations import OPERATIONS

ROOT = Path(__file__).parents[3]
DOCUMENT = describe(OPERATIONS, "0.1.0")


def test_every_operation_is_described_under_its_own_name():
    names = [op["operationId"] for path in DOCUMENT["paths"].values() for op in path.values()]
    assert len(names) == len(set(names)) == len(OPERATIONS)


def test_every_reference_leads_somewhere():
    import msgspec

    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    used = set(re.findall(r'"\$ref":"([^"]+)"', msgspec.json.encode(DOCUMENT).decode()))
    assert used <= known
    assert used


def test_every_parameter_of_a_path_is_declared():
    for operation in OPERATIONS:
        in_path = set(re.findall(r"{(\w+)}", operation.path))
        assert {p.name for p in operation.params if p.where == "path"} == in_path


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: f"{op.method} {op.path}")
def test_every_address_is_documented(operation):
    assert f"### {operation.method} {operation.path}\n" in (ROOT / "docs/api.md").read_text("utf-8")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: f"{op.method} {op.path}")
def test_every_parameter_is_documented(operation):
    text = (ROOT / "docs/api.md").read_text("utf-8")
    section = text.split(f"### {operation.method} {operation.path}\n")[1].split("\n###")[0]
    for param in operation.params:
        assert f"`{param.name}`" in section or f"{{{param.name}}}" in operation.path


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: f"{op.method} {op.path}")
def test_there_is_a_request_to_try_for_every_address(operation):
    path = re.sub(r"{\w+}", r"[^/?\\s]+", operation.path)
    scheme = (
        r"WEBSOCKET \{\{ws\}\}"
        if operation.handler is None
        else rf"{operation.method} \{{\{{base\}}\}}"
    )
    lines = (ROOT / "docs/api.http").read_text("utf-8")
    assert re.search(rf"^{scheme}{path}(\?\S*)?$", lines, re.MULTILINE)
