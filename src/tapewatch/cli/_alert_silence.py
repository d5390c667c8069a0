"""`tapewatch alerts silence`: hold notices for a while. Asked of the tapewatch that runs."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from tapewatch.model.errors import ConfigError, NotFound, TapewatchError, Unavailable

silences = App(name="silence", help="Hold the notices of some alerts for a while.")


@silences.command
def add(
    *matchers: str,
    comment: str,
    for_: Annotated[str, Parameter(name="--for")] = "1h",
    start: str = "now",
    url: str = "",
) -> int:
    """Silence the alerts that fit all matchers.

    Parameters
    ----------
    matchers
        Such as rule=big_trade, inst=binance:*, severity!=critical, or labels.
    comment
        Why, for those who wonder later.
    for_
        How long: 30m, 2h, 1d.
    start
        From then on: now, or a time.
    url
        Where tapewatch serves; without it as the settings here say.
    """
    query = {"match": ",".join(matchers), "for": for_, "start": start, "comment": comment}
    _print(_ask("POST", url, "/alerts/silences", query))
    return 0


@silences.command
def ls(*, url: str = "") -> int:
    """List what is silenced.

    Parameters
    ----------
    url
        Where tapewatch serves; without it as the settings here say.
    """
    for silence in _ask("GET", url, "/alerts/silences", {})["silences"]:
        _print(silence)
    return 0


@silences.command
def drop(silence: str, *, url: str = "") -> int:
    """End a silence; what still fires is told.

    Parameters
    ----------
    silence
        Its id as `ls` shows it, such as s1.
    url
        Where tapewatch serves; without it as the settings here say.
    """
    _ask("DELETE", url, f"/alerts/silences/{silence}", {})
    return 0


def _print(silence: dict[str, Any]) -> None:
    until = silence["ends"][:19].replace("T", " ")
    held = len(silence["holds"])
    holds = f"; holds {held} that fire now" if held else ""
    words = ",".join(silence["matchers"])
    print(f"{silence['id']:<4} {words}  until {until}: {silence['comment']}{holds}")


def _ask(method: str, url: str, path: str, query: dict[str, str]) -> Any:
    import asyncio

    address = (url or _here()).rstrip("/")
    return asyncio.run(_request(method, f"{address}{path}", query))


def _here() -> str:
    """What a tapewatch listens on that was started with the settings here."""
    from tapewatch.runtime import launch

    server = launch.load(None).settings.server
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - nothing is bound
    return f"http://{everywhere.get(server.host, server.host)}:{server.port}"


async def _request(method: str, address: str, query: dict[str, str]) -> Any:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        try:
            async with session.request(method, address, params=query) as answer:
                is_ours = answer.content_type.endswith("json")
                body = await answer.json(content_type=None) if is_ours else None
        except (aiohttp.ClientError, ValueError) as error:
            raise Unavailable(
                f"no tapewatch answers at {address} ({error}): start it with `tapewatch run`, or"
                " say where it is with --url"
            ) from None
    if body is None:
        raise Unavailable(f"{address} answers {answer.status}: is it tapewatch?")
    if answer.status >= 400:
        raise _refusal(answer.status, body)
    return body


def _refusal(status: int, problem: dict[str, Any]) -> TapewatchError:
    if status == 404:
        return NotFound("silence", "", tuple(problem.get("suggestions", ())))
    faults = [f"{each['pointer'][1:]}: {each['detail']}" for each in problem.get("errors", ())]
    if status == 400:
        return ConfigError("; ".join(faults) or problem["detail"])
    return Unavailable(problem["detail"])
