"""Figures of the agent platform."""
