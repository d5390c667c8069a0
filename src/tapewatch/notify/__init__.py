"""How people are told: one file a type of channel. A file name is what `type` says in settings."""
