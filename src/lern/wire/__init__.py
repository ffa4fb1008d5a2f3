"""The messages of every topic, typed; the only place that knows their camelCase spelling (contracts, sections 2 and 3)."""
