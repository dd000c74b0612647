"""Configuration: read, checked as a whole, compared, watched. A change is a transaction: all of it holds, or none.

load          load(path, environment) -> Loaded; load_bundle(bundle, environment) -> Loaded
no_file       what is served without a configuration file -> Loaded
diff          diff(old, new) -> the changes, in words and without secrets
watch         Watcher: notices that the files changed
bundle        a file with all that it includes, as texts that can be sent to a gateway
native        the models of Penstock's own form; litellm/ reads LiteLLM's config.yaml
"""
