"""Where and when a figure was taken; without that it says nothing."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path


def facts() -> dict[str, str]:
    """What stands above the table; the empty name is a value that explains itself."""
    found = {
        "": processor(),
        "cores": str(_usable_cores()),
        "Python": platform.python_version(),
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
    }
    if hasattr(os, "getloadavg"):
        found["load before"] = f"{os.getloadavg()[0]:.2f}"
    return found


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
