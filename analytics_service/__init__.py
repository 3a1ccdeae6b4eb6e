"""The installed service: the wheel puts the modules of the repository into this folder."""
