"""The server: GraphQL over HTTP and websocket, GraphiQL, and the rules of who is answered."""
