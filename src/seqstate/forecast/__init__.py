"""Forecasts of series with recurrent layers: `seqstate.Forecaster`, and what it is made of."""
