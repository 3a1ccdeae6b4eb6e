"""Who may do what: keys, projects, tokens and trusted documents, in files of the data folder."""
