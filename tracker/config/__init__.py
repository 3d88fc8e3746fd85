"""Settings: a TOML file, then the environment, then flags, each over the one before; checked once, at start.

A setting is named `section.name` everywhere: `[section] name = …` in the file, `MILEPOST_SECTION_NAME` in the
environment, `--set section.name=…` on the command line. Parts are handed their section and never look here.
"""
