"""What an HTTP answer of a venue means: a failure in words, and whether time may heal it."""

from tapewatch.ports import Answer

# What reading a body can raise: msgspec's errors are ValueErrors; deep nesting is the other.
UNREADABLE = (ValueError, RecursionError)


def problem_of(answer: Answer) -> str:
    """Say in words why a Fetch failed; empty when it did not."""
    if answer.status == 200:
        return ""
    words = answer.body[:200].decode("utf-8", "replace").strip()
    if answer.status == 0:
        return f"not reachable: {words}" if words else "not reachable"
    return f"HTTP {answer.status} {words}".strip()


def may_pass(answer: Answer) -> bool:
    """Tell failures that time may heal from a venue's final word (401, 403, 451, 404)."""
    return answer.status in {0, 200, 418, 429} or answer.status >= 500
