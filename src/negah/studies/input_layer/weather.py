"""A daily weather series whose law is known, and the forecasts that need no network.

Temperature swings with the season; around that, the anomaly a of a day remembers itself, and the
pressure p of today moves it tomorrow: high pressure warms summers and cools winters.

    p' = 0.8 p + 0.6 noise
    a' = 0.7 a - 1.8 p cos(season) + 1.5 noise

Humidity falls with both. The law is an invention in the manner of weather, no model of it; its
use is that the best possible forecast is known: its mean squared error is 1.5^2 = 2.25.

Axes: N days, X channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from negah.arrays import BoolArray, DoubleArray

#: Of a day: °C, hPa, %, and where in the year it stands.
CHANNELS = ("temperature", "pressure", "humidity", "sine of the season", "cosine of the season")
YEAR = 365.25
NOISE = 1.5
#: Days at the start of a series that no forecast is judged by: there is nothing to remember yet.
START = 30


@dataclass(frozen=True, eq=False)
class Weather:
    """A series.

    Attributes:
        values_NX: the channels of each day.
        shocked_N: days whose temperature was pushed from outside.
    """

    values_NX: DoubleArray
    shocked_N: BoolArray

    @property
    def temperature(self) -> DoubleArray:
        """Of each day in °C, (N,)."""
        first_N: DoubleArray = self.values_NX[:, 0]
        return first_N


def make_weather(years: int, random: np.random.Generator, *, shocks: float = 0.0) -> Weather:
    """A series from the 1st of January on.

    Args:
        years: how long.
        random: all chance comes from it.
        shocks: share of days on which 20 °C are added or taken, as no day of an ordinary series
            knows; the law goes on from there.
    """
    days = round(years * YEAR)
    season_N = 2 * np.pi * (np.arange(days) - 15) / YEAR
    noise_2N = random.standard_normal((2, days))
    shock_N = np.where(random.random(days) < shocks, random.choice([-20.0, 20.0], days), 0.0)
    pressure_N, anomaly_N = np.zeros(days), np.zeros(days)
    for day in range(1, days):
        pressure_N[day] = 0.8 * pressure_N[day - 1] + 0.6 * noise_2N[0, day]
        pushed = -1.8 * pressure_N[day - 1] * np.cos(season_N[day - 1])
        drawn = NOISE * noise_2N[1, day] + shock_N[day]
        anomaly_N[day] = 0.7 * anomaly_N[day - 1] + pushed + drawn
    humidity_N = 70 - anomaly_N - 4 * pressure_N + 5 * random.standard_normal(days)
    values = (
        10 - 10 * np.cos(season_N) + anomaly_N,
        1013 + 8 * pressure_N,
        humidity_N.clip(0, 100),
        np.sin(season_N),
        np.cos(season_N),
    )
    return Weather(np.stack(values, axis=1), shock_N != 0)


def judged_days(weather: Weather, within: Weather | None = None) -> BoolArray:
    """Which forecasts count, by the day they are made on (the last day has no next one).

    Args:
        weather: that is forecast.
        within: keep only days whose temperature lies outside of this series'.
    """
    chosen_N = np.arange(len(weather.values_NX) - 1) >= START
    chosen_N &= ~weather.shocked_N[1:]  # nobody can foresee a shock
    if within is not None:
        today_N = weather.temperature[:-1]
        low, high = within.temperature.min(), within.temperature.max()
        chosen_N &= (today_N < low) | (today_N > high)
    return chosen_N


def squared_error(forecast_N: DoubleArray, weather: Weather, chosen_N: BoolArray) -> float:
    """The mean over chosen days of forecasts of the next day's temperature, in °C²."""
    error_N = forecast_N - weather.temperature[1:]
    return float((error_N[chosen_N] ** 2).mean())


def simple_forecasts(train: Weather, weather: Weather) -> dict[str, DoubleArray]:
    """Forecasts of the next day, (N - 1,), by name.

    ``persistence``: as today. ``climatology``: what the season of tomorrow brings, two harmonics
    fitted to the training series. ``linear regression``: on all channels of today and yesterday.
    """
    fitted, _, *_ = np.linalg.lstsq(_harmonics(train), train.temperature, rcond=None)
    weights, _, *_ = np.linalg.lstsq(_lagged(train)[1:-1], train.temperature[2:], rcond=None)
    return {
        "persistence": weather.temperature[:-1],
        "climatology": (_harmonics(weather) @ fitted)[1:],
        "linear regression": _lagged(weather)[:-1] @ weights,
    }


def _harmonics(weather: Weather) -> DoubleArray:
    sine_N, cosine_N = weather.values_NX[:, 3], weather.values_NX[:, 4]
    twice = (2 * sine_N * cosine_N, cosine_N**2 - sine_N**2)
    return np.stack([np.ones_like(sine_N), sine_N, cosine_N, *twice], axis=1)


def _lagged(weather: Weather) -> DoubleArray:
    """Today, yesterday (of the first day, itself) and 1."""
    today_NX = weather.values_NX
    before_NX = np.concatenate([today_NX[:1], today_NX[:-1]])
    return np.concatenate([today_NX, before_NX, np.ones((len(today_NX), 1))], axis=1)
