"""The protocol graphql-transport-ws: what a client may say when, and the socket around it."""
