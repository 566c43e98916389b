"""The suite as pytest finds it; options, hooks and fixtures are in `fixtures/plugin/`."""

pytest_plugins = ("fixtures.plugin.hooks",)
