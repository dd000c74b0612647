"""What a sandbox costs: to make, to claim, to run a program in, to keep, to end."""
