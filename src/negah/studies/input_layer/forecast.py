"""A recurrent network that forecasts tomorrow's temperature, with a dense or a binned input.

Axes: N days, B stretches of a step, T days of a stretch, X channels, E input size, D hidden size.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from negah.models.seeding import seeded
from negah.studies.input_layer.layers import BinnedEmbedding, DenseInput
from negah.studies.input_layer.options import DENSE, WeatherOptions
from negah.studies.input_layer.weather import (
    CHANNELS,
    Weather,
    judged_days,
    make_weather,
    simple_forecasts,
    squared_error,
)
from negah.studies.study import Progress

_NETWORKS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"GRU": nn.GRU, "LSTM": nn.LSTM}
#: Days of the test series that the figure shows.
_SHOWN = 60


class Forecaster(nn.Module):
    """Input layer, GRU or LSTM, and a linear layer to one number.

    Args:
        layer: the input layer, to E.
        cell: "GRU" or "LSTM".
        input_size: E.
        hidden_size: D.
    """

    def __init__(self, layer: nn.Module, cell: str, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.layer = layer
        self.network = _NETWORKS[cell](input_size, hidden_size, batch_first=True)
        self.output = nn.Linear(hidden_size, 1)

    def forward(self, values_BTX: Tensor) -> Tensor:
        """Tomorrow's temperature in training units after each day, (B, T)."""
        hidden_BTD, _ = self.network(self.layer(values_BTX))
        forecast_BT: Tensor = self.output(hidden_BTD).squeeze(-1)
        return forecast_BT


def make_series(o: WeatherOptions, seed: int) -> dict[str, Weather]:
    """``train``, ``dev``, ``test``, and ``shocks``: a test series with days beyond training's."""
    random = np.random.default_rng([7, seed])
    return {
        "train": make_weather(o.train_years, random),
        "dev": make_weather(o.dev_years, random),
        "test": make_weather(o.test_years, random),
        "shocks": make_weather(o.test_years, random, shocks=0.03),
    }


def run_cell(o: WeatherOptions, variant: str, seed: int, progress: Progress) -> dict[str, Any]:
    """Train and judge one forecaster; ``variant`` is "GRU, dense" or "LSTM, 10 bins"."""
    cell, kind = variant.split(", ")
    series = make_series(o, seed)
    mean_X, deviation_X = series["train"].values_NX.mean(0), series["train"].values_NX.std(0)
    scaled = {
        name: torch.from_numpy((one.values_NX - mean_X) / deviation_X).float()
        for name, one in series.items()
    }
    with seeded(seed):
        layer: nn.Module = (
            DenseInput(len(CHANNELS), o.input_size)
            if kind == DENSE
            else BinnedEmbedding(scaled["train"], int(kind.removesuffix(" bins")), o.input_size)
        )
        model = Forecaster(layer, cell, o.input_size, o.hidden_size)
    curve = _train(model, scaled["train"], scaled["dev"], o, seed, float(deviation_X[0]), progress)

    def forecast(name: str) -> Any:
        with torch.inference_mode():
            found_N = model(scaled[name][None, :-1])[0]
        return found_N.double().numpy() * deviation_X[0] + mean_X[0]

    test, shocks = series["test"], series["shocks"]
    forecast_N = forecast("test")
    return {
        "values": {
            "mse": squared_error(forecast_N, test, judged_days(test)),
            "mse_unseen": squared_error(
                forecast("shocks"), shocks, judged_days(shocks, series["train"])
            ),
            "input_parameters": sum(weight.numel() for weight in layer.parameters()),
        },
        "curves": {"dev mean squared error, °C²": curve},
        "extra": {
            "truth": test.temperature[101 : 101 + _SHOWN].tolist(),
            "forecast": forecast_N[100 : 100 + _SHOWN].tolist(),
        },
    }


def baselines(o: WeatherOptions, seed: int) -> dict[str, dict[str, float]]:
    """The squared errors of forecasts that need no network, by name."""
    series = make_series(o, seed)
    train, test, shocks = series["train"], series["test"], series["shocks"]
    usual, unseen = simple_forecasts(train, test), simple_forecasts(train, shocks)
    return {
        name: {
            "mse": squared_error(usual[name], test, judged_days(test)),
            "mse_unseen": squared_error(unseen[name], shocks, judged_days(shocks, train)),
        }
        for name in usual
    }


def _train(
    model: Forecaster,
    train_NX: Tensor,
    dev_NX: Tensor,
    o: WeatherOptions,
    seed: int,
    unit: float,
    progress: Progress,
) -> list[list[float]]:
    """Adam and a cosine; the weights of the best epoch on the dev series stay."""
    random = np.random.default_rng([8, seed])
    optimizer = torch.optim.Adam(model.parameters(), lr=o.learning_rate)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, o.epochs)
    best, kept, curve = float("inf"), model.state_dict(), []
    stretches = (len(train_NX) - 1) // o.days
    for epoch in range(o.epochs):
        # where stretches begin moves, so that their cold starts are on other days each time
        first = int(random.integers(0, len(train_NX) - stretches * o.days))
        starts = first + o.days * random.permutation(stretches)
        for some in np.array_split(starts, max(1, round(stretches / o.batch))):
            inputs_BTX = torch.stack([train_NX[at : at + o.days] for at in some])
            targets_BT = torch.stack([train_NX[at + 1 : at + o.days + 1, 0] for at in some])
            optimizer.zero_grad()
            loss = F.mse_loss(model(inputs_BTX), targets_BT)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        cosine.step()
        with torch.inference_mode():
            error = float(F.mse_loss(model(dev_NX[None, :-1])[0], dev_NX[1:, 0])) * unit**2
        curve.append([epoch + 1, error])
        if error < best:
            best, kept = error, copy.deepcopy(model.state_dict())
        progress("training", epoch + 1, o.epochs)
    model.load_state_dict(kept)
    return curve
