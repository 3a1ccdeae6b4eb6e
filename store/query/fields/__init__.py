"""Tags and properties: SQL expressions over their JSON text."""
