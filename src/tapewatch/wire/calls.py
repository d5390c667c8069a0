"""What REST requests cost, for telemetry."""

from msgspec import Struct


class Calls(Struct):
    """REST requests to one venue, each try counted."""

    count: int = 0
    total_secs: float = 0.0
    last_secs: float = 0.0

    def note(self, secs: float) -> None:
        self.count += 1
        self.total_secs += secs
        self.last_secs = secs
