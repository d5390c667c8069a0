"""When to speak: rules on metrics, their life, and what becomes of their alerts. Pure."""
