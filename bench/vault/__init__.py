"""The vault's own figures."""
