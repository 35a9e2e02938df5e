"""Every metric by name: those of this package, and those of others (``docs/metrics.md``)."""

from __future__ import annotations

from collections.abc import Sequence

from negah.errors import MissingExtraError, UnknownNameError, UsageError
from negah.metrics.metric import Metric, ShareDone, calling
from negah.metrics.settings import Settings
from negah.registry import Registry
from negah.text.languages import DEFAULT

_TABLE = {
    **{f"BLEU-{order}": "negah.metrics.bleu:Bleu" for order in range(1, 5)},
    "METEOR": "negah.metrics.meteor.metric:MeteorMetric",
    "ROUGE-L": "negah.metrics.rouge:RougeL",
    "CIDEr": "negah.metrics.cider:CiderMetric",
    "CIDEr-D": "negah.metrics.cider:CiderDMetric",
    "CHAIR-i": "negah.metrics.chair.metric:Chair",
    "CHAIR-s": "negah.metrics.chair.metric:Chair",
}

#: The classes of metrics by name, in the order of the field's tables; then those of other
#: packages, which come by entry points of the group ``negah.metrics``.
METRICS: Registry[type[Metric]] = Registry("metric", "negah.metrics", _TABLE)


def default_metrics(settings: Settings | None = None) -> tuple[str, ...]:
    """The metrics that are computed by default, if their data is installed."""
    return _by_default(Settings() if settings is None else settings)[0]


def absent_metrics(settings: Settings) -> list[MissingExtraError]:
    """Default metrics whose data is missing, with the install command."""
    return _by_default(settings)[1]


def chosen_metrics(metrics: Sequence[str] | None, settings: Settings) -> tuple[str, ...]:
    """The metrics named, checked and in the order of :data:`METRICS`; None for the default ones.

    Raises:
        UnknownNameError: there is no such metric.
        UsageError: none is named, a string is given instead of a list, or a metric of another
            package is not a metric.
        DataError: one cannot be computed with these settings.
        MissingExtraError: a dependency of one is not installed.
    """
    if metrics is None:
        return default_metrics(settings)
    if isinstance(metrics, str) or not metrics:
        raise UsageError(f"metrics is {metrics!r}; give a list of {', '.join(METRICS)}")
    # naming only our own metrics avoids a search of all installed packages
    known = list(_TABLE) if _TABLE.keys() >= {*metrics} else METRICS.names()
    for name in metrics:
        if name not in known:
            raise UnknownNameError("metric", name, known, METRICS.group)
    names = tuple(name for name in known if name in metrics)
    for kind in kinds_of(names):
        with calling(kind.names[0], "check"):
            kind.check(settings)
    return names


def kinds_of(names: Sequence[str]) -> dict[type[Metric], tuple[str, ...]]:
    """The metric classes of these names, each with those of its names that were requested.

    Raises:
        UsageError: another package registered something that is not a metric of that name.
    """
    kinds: dict[type[Metric], tuple[str, ...]] = {}
    for name in names:
        kind = METRICS.get(name)
        if not isinstance(kind, type) or Metric not in kind.__mro__:
            raise UsageError(
                f"what is registered as metric {name!r} ({kind!r:.80}) is no subclass of "
                "negah.metrics.Metric or MeanMetric"
            )
        own = getattr(kind, "names", None)
        if not isinstance(own, tuple) or name not in own:
            raise UsageError(
                f"the metric {name!r} ({kind.__module__}:{kind.__qualname__}) has names = {own!r}: "
                "it must be a tuple that contains the name of the entry point"
            )
        kinds[kind] = (*kinds.get(kind, ()), name)
    return kinds


def load_metrics(
    metrics: Sequence[str] | None, progress: ShareDone | None = None, *, language: str = DEFAULT
) -> None:
    """Check metrics before work starts, and compile their data, once per machine.

    Args:
        metrics: their names; None for the default ones.
        progress: called with the share done while data is compiled; not called if it is compiled
            already.
        language: the code of the language of the captions.

    Raises:
        UsageError: one is not a metric, or is for English only.
        MissingExtraError: the data of one is not installed.
    """
    for kind in kinds_of(chosen_metrics(metrics, Settings(language=language))):
        kind.load(progress)


def _by_default(settings: Settings) -> tuple[tuple[str, ...], list[MissingExtraError]]:
    names: list[str] = []
    absent: list[MissingExtraError] = []
    for kind, own in kinds_of(list(_TABLE)).items():
        if not kind.by_default(settings):
            continue
        try:
            kind.check(settings)
        except MissingExtraError as error:
            absent.append(error)
        else:
            names += own
    return tuple(name for name in _TABLE if name in names), absent
