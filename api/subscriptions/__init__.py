"""Subscriptions: one evaluation of each live question, sent to all who subscribed to it."""
