"""Penstock: one call for any model of any provider, a gateway, and an agent platform."""
