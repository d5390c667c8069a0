"""Collect, check, store and serve, until Ctrl-C."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def command(
    *,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    set_: Annotated[tuple[str, ...], Parameter(name="--set")] = (),
    no_ui: Annotated[bool, Parameter(negative="")] = False,
    log_level: str | None = None,
    log_format: str | None = None,
) -> int:
    """Collect, check, store and serve, until Ctrl-C.

    Parameters
    ----------
    config
        The settings file; without it `tapewatch.yaml` here, or the defaults.
    set_
        One setting over all others, such as `--set server.port=9000`; may be repeated.
    no_ui
        Collect and store only: no server.
    log_level
        DEBUG, INFO, WARNING or ERROR. DEBUG shows raw frames and every stored tick.
    log_format
        console or json.
    """
    from tapewatch.runtime import launch, logs

    options = list(set_)
    options += [f"log.level={log_level.upper()}"] if log_level else []
    options += [f"log.format={log_format}"] if log_format else []
    loaded = launch.load(config, tuple(options))
    settings = loaded.settings
    logs.set_up(settings.log.level, settings.log.format)
    for notice in loaded.notices:
        print(f"note: {notice.message} ({notice.path or notice.place})", file=sys.stderr)
    plan = launch.plan_of(loaded, serve=not no_ui)

    def ready(app: object) -> None:
        server = getattr(app, "server", None)
        if server is not None:
            print(f"→ {server.url}  ·  press Ctrl-C to stop", file=sys.stderr, flush=True)

    return launch.run(lambda stop: launch.serve(loaded, plan, stop, ready))
