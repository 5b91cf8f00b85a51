"""GraphiQL at the endpoint, served from the package alone."""
