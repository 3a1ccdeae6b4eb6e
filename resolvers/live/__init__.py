"""Live answers: questions that are asked again when their rows change."""
