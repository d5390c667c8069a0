"""One file a venue: constants, message types, the conversation. Pure."""
