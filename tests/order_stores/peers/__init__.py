"""Peers of the platforms: servers on loopback that keep the documented rules, each rule under the page that states it.

What no page states and a peer does all the same is marked "assumed", and listed in docs/order-stores.md.
"""
