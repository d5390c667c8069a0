"""The OpenAPI 3.1 description, made from the same Structs that make the answers.

An operation for every address, so nothing can be served that is not described. The live addresses
are described as GET with 101; the messages stand in `docs/api.md`.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from tapewatch.serve import problem
from tapewatch.serve.ask import Operation, Param

_REF = "#/components/schemas/{name}"


def describe(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """Give the whole document as plain values."""
    answers = [op.answer for op in operations if op.answer is not None]
    schemas, components = msgspec.json.schema_components(
        [problem.Problem, *answers], ref_template=_REF
    )
    schema_of = dict(zip(map(_key, answers), schemas[1:], strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        entry = _operation(operation, schema_of.get(_key(operation.answer), {}))
        paths.setdefault(operation.path, {})[operation.method.lower()] = entry
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tapewatch",
            "version": version,
            "description": "Live crypto market data that people can trust.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(op.tag for op in operations)],
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(operation: Operation, schema: dict[str, Any]) -> dict[str, Any]:
    content = {operation.content_type: {"schema": schema}}
    responses: dict[str, Any] = {
        str(status): {
            "description": text,
            **({} if status == HTTPStatus.SWITCHING_PROTOCOLS else {"content": content}),
        }
        for status, text in operation.statuses.items()
    }
    responses["default"] = {
        "description": "A problem (RFC 9457)",
        "content": {problem.JSON: {"schema": {"$ref": _REF.format(name="Problem")}}},
    }
    return {
        "operationId": operation.name,
        "summary": operation.text,
        "tags": [operation.tag],
        "parameters": [_parameter(param) for param in operation.params],
        "responses": responses,
    }


def _parameter(param: Param) -> dict[str, Any]:
    return {
        "name": param.name,
        "in": param.where,
        "required": param.where == "path",
        "description": param.text,
        "schema": {"type": param.kind},
        **({"example": param.example} if param.example else {}),
    }


def _key(answer: Any) -> str:
    return str(answer)
