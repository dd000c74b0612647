"""What every store of the agent platform must do."""
