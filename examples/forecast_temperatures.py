"""Hourly temperatures, forecast a day ahead: back-tested, updated hour by hour, and with intervals.

The recurrent state is taken once over the whole history. Each new hour then moves it on by one
step, and the next forecast starts from there; nothing is trained again.
"""

import seqstate  # noqa: I001  (first: it picks a backend that is installed)

import pandas as pd
from seqstate.tour.data import load

temperatures = load()
hours = pd.Series(
    temperatures.celsius[-24 * 120 :],
    index=pd.DatetimeIndex(temperatures.time[-24 * 120 :].astype("datetime64[us]")),
    name="celsius",
)

forecaster = seqstate.Forecaster(
    horizon=24, units=12, epochs=6, learning_rate=0.01, calendar=["hour of day"], progress=False
)
result = forecaster.backtest(hours, origins=14)
print(f"{len(result.observed)} days that it never saw, forecast at midnight:\n")
print(result)

forecaster.fit(hours[:-6])
before = forecaster.predict()
forecaster.update(hours[-6:])  # six hours later
after = forecaster.predict()
print(f"\nat {before.index[0]:%H:%M}: the next 24 hours reach {before.max():.1f} °C")
print(f"at {after.index[0]:%H:%M}: the next 24 hours reach {after.max():.1f} °C, and now with")
print(forecaster.predict_quantiles().iloc[[0, 11, 23]].round(1).to_string())
