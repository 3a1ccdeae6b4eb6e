"""Strawberry types and scalars that both APIs, the resolvers and the store share.

The roots, `Query` and `Mutation`, and the schema made of them are in `api/graphql/`.
"""
