"""LiteLLM's config.yaml, read as it is: `translate` makes the native form of it, `advice` says what is not honoured."""
