"""The demo: a simulated carrier, a subscriber that checks signatures, and a story that plays between them."""
