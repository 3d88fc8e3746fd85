"""The one style sheet and the one script of the pages."""
