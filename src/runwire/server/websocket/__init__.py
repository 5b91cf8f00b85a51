"""GraphQL over websockets: what a client may say when, in which words, and the socket around it."""
