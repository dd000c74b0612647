"""Environments: programs from package registries, installed inside a sandbox that can reach those registries only."""
