"""`seqstate state`: what stands in a store, listed, kept in files, and moved to a newer model."""
