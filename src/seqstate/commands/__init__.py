"""What the command line does, one module a command; `seqstate.cli` says how they are called."""
