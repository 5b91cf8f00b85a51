"""The GraphQL schema, by noun; `schema.py` only joins the parts."""
