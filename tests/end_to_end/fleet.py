"""What `runwire` runs on one home: the server, the daemons, and what they start; and what became of the runs."""
