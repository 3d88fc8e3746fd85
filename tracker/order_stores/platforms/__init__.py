"""One module per platform; each exposes one `platform`."""
