"""REST, WebSocket and status pages for people and programs."""
