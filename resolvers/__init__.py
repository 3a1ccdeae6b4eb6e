"""Resolvers: one async function for each query and mutation, called by both APIs."""
