"""Values: events, instruments, times, codecs, errors. Nothing here does I/O or knows a venue."""
