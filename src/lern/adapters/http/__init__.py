"""The platform's HTTP services (contracts, section 7)."""
