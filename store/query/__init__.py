"""Queries compiled to SQL by pure functions; nothing here touches the engine."""
