"""Strawberry types, scalars and errors that both APIs, the resolvers and the store share.

The root types, `Query` and `Mutation`, and the schema are in `api/graphql/`.
"""
