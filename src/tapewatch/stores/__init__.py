"""Where events are kept. A file is a plug-in; a leading underscore marks a shared part."""
