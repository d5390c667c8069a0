"""The version, and what it runs on."""

from typing import Annotated

from cyclopts import Parameter


def command(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Print the version, and what it runs on.

    Parameters
    ----------
    json
        One JSON object instead of text.
    """
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import msgspec

    from tapewatch import __version__

    facts = {"tapewatch": __version__, "python": platform.python_version()}
    for library in ("msgspec", "picows", "aiohttp", "pyarrow", "duckdb"):
        try:
            facts[library] = version(library)
        except PackageNotFoundError:
            facts[library] = "not installed"
    facts["platform"] = platform.platform()
    if json:
        print(msgspec.json.encode(facts).decode())
    else:
        print("\n".join(f"{name:<10} {value}" for name, value in facts.items()))
    return 0
