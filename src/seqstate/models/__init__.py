"""What is said of a whole Keras model: its states, a trace of a run, its layers exchanged."""
