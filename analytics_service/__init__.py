"""The installed form of the service: the wheel places the repository's modules in this folder."""
