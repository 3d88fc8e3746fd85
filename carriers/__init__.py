"""Carrier adapters: one folder each, exposing one frozen `Carrier`."""
