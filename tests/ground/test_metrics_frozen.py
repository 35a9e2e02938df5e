"""What pycocoevalcap 1.2 printed for five tokenised captions, so that no test needs it or Java."""

from __future__ import annotations

import pytest

from negah.metrics import ReferenceLength, bleu, cider_d, rouge_l

HYPOTHESES = [
    "a man in a red shirt climbs a rock",
    "two dogs run through the snow",
    "a child on a swing",
    "a a the",
    "people stand on a street in front of a shop at night",
]
REFERENCES = [
    [
        "a man climbs a steep rock",
        "a climber in a red shirt on a cliff",
        "the man in red is rock climbing",
    ],
    [
        "two dogs are running through deep snow",
        "dogs play in the snow",
        "a brown dog runs after a white dog in snow",
    ],
    [
        "a little girl plays on a swing",
        "a child swings high in the park",
        "a girl on a swing laughs",
    ],
    [
        "a boat on a lake",
        "the boat sails near the shore",
        "a small sail boat on the water",
    ],
    [
        "a crowd of people stand in front of a shop",
        "people wait on a street at night",
        "some people on the street in front of a store",
    ],
]
#: By reference length, BLEU-1 to 4 of the corpus and BLEU-2 of each caption.
BLEU: dict[ReferenceLength, tuple[list[float], list[float]]] = {
    "closest": (
        [0.9714285713730614, 0.804747816115055, 0.5917748862552632, 0.4512060319439626],
        [
            0.8660254035859749,
            0.5773502690837784,
            0.7090416307237545,
            1.1480355781079511e-08,
            0.9045340336544869,
        ],
    ),
    "shortest": (
        [0.9714285714008164, 0.8047478161380477, 0.591774886272171, 0.45120603195685416],
        [
            0.8660254036821997,
            0.5773502690837784,
            0.7090416307237545,
            1.1480355781079511e-08,
            0.9045340336544869,
        ],
    ),
    "average": (
        [0.9351177937337664, 0.774667355371184, 0.5696550856435084, 0.43434051822711933],
        [
            0.8660254036821997,
            0.46230595496241406,
            0.6205343173001321,
            8.226034373670278e-09,
            0.9045340336544869,
        ],
    ),
}


@pytest.mark.parametrize("reference_length", BLEU)
def test_bleu(reference_length: ReferenceLength) -> None:
    corpus, second = BLEU[reference_length]
    score = bleu(HYPOTHESES, REFERENCES, reference_length=reference_length)
    assert score.corpus == pytest.approx(corpus, rel=1e-12)
    assert score.per_caption[:, 1] == pytest.approx(second, rel=1e-12)


def test_rouge_l() -> None:
    score = rouge_l(HYPOTHESES, REFERENCES)
    assert score.corpus == pytest.approx(0.6588712273122168, rel=1e-12)
    expected = [0.755886, 0.62564103, 0.71554252, 0.47843137, 0.71885522]
    assert score.per_caption == pytest.approx(expected, rel=1e-6)


def test_cider_d() -> None:
    score = cider_d(HYPOTHESES, REFERENCES)
    assert score.corpus == pytest.approx(1.8266800391054847, rel=1e-12)
    expected = [2.39726198, 1.42970771, 1.98223935, 0, 3.32419115]
    assert score.per_caption == pytest.approx(expected, rel=1e-8)
