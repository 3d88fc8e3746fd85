"""What `milepost new-carrier` copies: an adapter for a carrier that does not exist, its test, and a package's frame."""
