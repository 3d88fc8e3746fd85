"""The bodies that the API takes and the answers that it gives, as types: the OpenAPI page is made of them.

A module for each resource, by the name of the one that answers.
"""
