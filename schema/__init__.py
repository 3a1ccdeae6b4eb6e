"""The vocabulary of the service: GraphQL types that both doors and the store speak.

`errors`, `scalars`, `ranges`, `metrics`, `events` and `recording` are leaves and import nothing
of ours but each other; `root`, `nodes` and `http` stand above the resolvers.
"""
