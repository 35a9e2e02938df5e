"""Tone mapping of high dynamic range to standard range.

If PQ or HLG code values are used as sRGB values, a picture looks washed out. They are converted to
light in cd/m2; light beyond the range of the screen is rolled off by a published curve; colours are
converted from BT.2020 to BT.709; and the result is encoded as sRGB.

Sources: PQ: SMPTE ST 2084 and ITU-R BT.2100-2, table 4. HLG: ARIB STD-B67 and BT.2100-2, table 5.
The curve: the EETF of ITU-R BT.2390-11, 5.4.1, applied to the largest of the three colours, so that
hues stay (BT.2408-7, annex 5). White of a screen: 203 cd/m2, BT.2408-7, 3. Primaries: BT.2087-0.
sRGB: IEC 61966-2-1.

Axes: H rows, W columns, 3 colours.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from negah.arrays import FloatArray

#: Transfer functions.
Transfer: TypeAlias = Literal["pq", "hlg"]
#: Colour primaries.
Primaries: TypeAlias = Literal["bt2020", "p3", "bt709"]

#: White of a standard-range screen in cd/m2: diffuse white in HDR.
WHITE = 203.0
#: Default peak luminance in cd/m2 of a picture without metadata.
PEAK = 1000.0
_LEAST_PEAK, _MOST_PEAK = 100.0, 10_000.0

_CODES = 1 << 16
_ROWS = 32  # converted at once: as many as a cache holds

_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32

_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073
_HLG_GAMMA, _HLG_PEAK = 1.2, 1000.0
_LUMINANCE_3 = np.array([0.2627, 0.6780, 0.0593], np.float32)

# To the primaries of BT.709, of linear light.
_TO_BT709 = {
    "bt2020": np.array(
        [
            [1.660491, -0.587641, -0.072850],
            [-0.124550, 1.132900, -0.008349],
            [-0.018151, -0.100579, 1.118730],
        ],
        np.float32,
    ),
    "p3": np.array(
        [
            [1.224940, -0.224940, 0.0],
            [-0.042057, 1.042057, 0.0],
            [-0.019638, -0.078636, 1.098274],
        ],
        np.float32,
    ),
    "bt709": np.eye(3, dtype=np.float32),
}


def to_sdr(
    codes_HW3: npt.NDArray[np.uint16],
    transfer: Transfer,
    *,
    primaries: Primaries = "bt2020",
    peak: float | None = None,
) -> npt.NDArray[np.uint8]:
    """Tone-map a picture.

    Args:
        codes_HW3: R'G'B', where 0 is black and 65535 is the largest value of the signal.
        transfer: how light is coded in it.
        primaries: of its colours.
        peak: the brightest light that is in it, in cd/m2, as its metadata say; of HLG and where
            they do not, 1000.

    Returns:
        sRGB, of the same shape.
    """
    most = PEAK if transfer == "hlg" or peak is None else min(max(peak, _LEAST_PEAK), _MOST_PEAK)
    to_screen = _TO_BT709[primaries].T * np.float32((_CODES - 1) / WHITE)
    shown_HW3 = np.empty(codes_HW3.shape, np.uint8)
    for start in range(0, codes_HW3.shape[0], _ROWS):
        rows = slice(start, start + _ROWS)
        light_HW3 = _light(codes_HW3[rows], transfer)
        red_HW, green_HW, blue_HW = np.moveaxis(light_HW3, -1, 0)
        brightest_HW = np.maximum(np.maximum(red_HW, green_HW), blue_HW)
        light_HW3 *= _gain(most)[_place(brightest_HW)][..., None]
        linear_HW3 = light_HW3 @ to_screen
        np.clip(linear_HW3, 0, _CODES - 1, out=linear_HW3)
        shown_HW3[rows] = _srgb()[linear_HW3.astype(np.uint16)]
    return shown_HW3


def pq_to_light(signal: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The EOTF of PQ: a signal, 0 to 1, in cd/m2."""
    power = np.power(np.clip(np.asarray(signal, np.float64), 0, 1), 1 / _M2)
    ratio = np.maximum(power - _C1, 0) / (_C2 - _C3 * power)
    return 10_000 * np.power(ratio, 1 / _M1)


def light_to_pq(light: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The inverse of :func:`pq_to_light`."""
    power = np.power(np.clip(np.asarray(light, np.float64) / 10_000, 0, 1), _M1)
    return np.power((_C1 + _C2 * power) / (1 + _C3 * power), _M2)


def hlg_to_scene(signal: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The inverse OETF of HLG: a signal, 0 to 1, in light of the scene, 0 to 1."""
    code = np.clip(np.asarray(signal, np.float64), 0, 1)
    bright = (np.exp((code - _HLG_C) / _HLG_A) + _HLG_B) / 12
    return np.where(code <= 0.5, code**2 / 3, bright)


def roll_off(light: npt.ArrayLike, peak: float, white: float = WHITE) -> npt.NDArray[np.float64]:
    """The EETF of BT.2390: light in cd/m2 up to ``peak``, to light up to ``white``.

    Dark values are unchanged; the brighter a value, the more it is compressed. Black stays black.
    """
    scale = float(light_to_pq(peak))
    most = float(light_to_pq(white)) / scale
    given = np.minimum(light_to_pq(light) / scale, 1)
    if most >= 1:
        return pq_to_light(given * scale)
    knee = 1.5 * most - 0.5
    part = (np.maximum(given, knee) - knee) / (1 - knee)
    bent = (
        (2 * part**3 - 3 * part**2 + 1) * knee
        + (part**3 - 2 * part**2 + part) * (1 - knee)
        + (-2 * part**3 + 3 * part**2) * most
    )
    return pq_to_light(np.where(given < knee, given, bent) * scale)


def _light(codes_HW3: npt.NDArray[np.uint16], transfer: Transfer) -> FloatArray:
    """The light of an HDR screen, in cd/m2."""
    if transfer == "pq":
        return _pq_light()[codes_HW3]
    scene_HW3 = _hlg_scene()[codes_HW3]
    luminance_HW1 = (scene_HW3 @ _LUMINANCE_3)[..., None]
    # The OOTF: a screen shows more contrast than the scene has.
    ootf_HW1 = _HLG_PEAK * np.power(luminance_HW1, np.float32(_HLG_GAMMA - 1))
    return np.asarray(scene_HW3 * ootf_HW1, np.float32)


def _place(light: FloatArray) -> npt.NDArray[np.uint16]:
    """Where light stands in the table of :func:`_gain`, which goes by its square root."""
    return (np.sqrt(light) * np.float32((_CODES - 1) / 100) + np.float32(0.5)).astype(np.uint16)


@lru_cache(maxsize=8)
def _gain(peak: float) -> FloatArray:
    """The remaining light, as a factor."""
    light = (np.arange(_CODES) * (100 / (_CODES - 1))) ** 2
    gain = roll_off(light, peak) / np.maximum(light, 1e-9)
    # PQ's smallest steps are not exact enough to divide by; and black stays black.
    return np.where(light < 1, 1, gain).astype(np.float32)


@lru_cache(maxsize=1)
def _pq_light() -> FloatArray:
    return pq_to_light(np.arange(_CODES) / (_CODES - 1)).astype(np.float32)


@lru_cache(maxsize=1)
def _hlg_scene() -> FloatArray:
    return hlg_to_scene(np.arange(_CODES) / (_CODES - 1)).astype(np.float32)


@lru_cache(maxsize=1)
def _srgb() -> npt.NDArray[np.uint8]:
    linear = np.arange(_CODES) / (_CODES - 1)
    bright = 1.055 * np.power(linear, 1 / 2.4) - 0.055
    coded = np.where(linear <= 0.0031308, 12.92 * linear, bright)
    return np.round(coded * 255).astype(np.uint8)
