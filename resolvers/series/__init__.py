"""Series queries: from arguments and selected fields to series and the meta of the result."""
