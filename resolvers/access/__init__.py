"""Who may do what: callers, keys, projects, sessions and trusted documents."""
