"""What a person would rather look at than read: small plots as Markdown, for the UI.

Each brings its own light ground along, so that it reads alike in the light and the dark theme.
matplotlib is imported when something is drawn: the code location loads without it.
"""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.monitoring.slo import P50_MS, P99_MS
from greenlang_vectors.store.records import SearchQuality

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES = (7.2, 3.4)
DOTS_AN_INCH = 100
COLOURS = 64
"""Of the PNG: with so few it is a third of the size, and nobody sees it."""

BLUE, ORANGE, GREY, PALE = "#1f5fa8", "#c2510c", "#5a6270", "#b9c0ca"
CLOSEST_TICKS = 0.05
"""Of the width of a plot: what is written closer overlaps."""

MOST_DATES = 6
BARS = 32


def recall_curve(
    name: str, quality: SearchQuality, earlier: Sequence[Sequence[Mapping[str, float]]]
) -> str:
    """Recall against the width of the search, with what is promised and the width that is used.

    Args:
        name: the collection.
        quality: a measurement with a curve.
        earlier: the curves of measurements before it, drawn as pale dots.
    """
    title = (
        f"{name}: searched {quality.ef_search} wide, recall@10 is {quality.recall_at_10:.4f}, "
        f"half within {quality.latency_p50_ms:.1f} ms"
    )
    figure, [axes] = _figure(title)
    widths = [point["width"] for point in quality.curve]
    recall = [point["recall_at_10"] for point in quality.curve]
    lowest = [point["lowest_recall"] for point in quality.curve]
    before = [(point["width"], point["recall_at_10"]) for curve in earlier for point in curve]
    if before:
        axes.plot(*zip(*before, strict=True), ".", color=PALE, label="measured before")
    axes.plot(widths, recall, "o-", color=BLUE, label="without a filter")
    if lowest != recall:
        axes.plot(widths, lowest, "s--", color=ORANGE, label="lowest inside a filter")
    if quality.recall_target is not None:
        axes.axhline(
            quality.recall_target,
            color=GREY,
            linestyle=":",
            label=f"promised: {quality.recall_target:g}",
        )
    axes.plot(
        quality.ef_search,
        quality.recall_at_10,
        "o",
        color=BLUE,
        markersize=12,
        label=f"in use: {quality.ef_search}",
    )
    shown = _spread(sorted({*widths, *(width for width, _ in before)}))
    axes.set_xscale("log")
    axes.set_xticks(shown, labels=[f"{width:g}" for width in shown])
    axes.minorticks_off()
    axes.margins(x=0.1, y=0.2)
    axes.set_ylim(top=min(axes.get_ylim()[1], 1.005))
    axes.set_xlabel("ef_search (probes of IVFFlat)")
    axes.set_ylabel("recall@10")
    axes.legend(loc="lower right")
    return _markdown(figure, title)


def history(name: str, measured: Sequence[tuple[datetime, SearchQuality]]) -> str:
    """Recall and latency of a collection from one measurement to the next.

    Args:
        measured: oldest first, two at least.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num  # noqa: PLC0415

    title = f"{name}: the last {len(measured)} measurements"
    figure, [above, below] = _figure(title, panels=2)
    times = date2num([at for at, _ in measured])
    lowest = [quality.lowest[0] for _, quality in measured]
    recall = [quality.recall_at_10 for _, quality in measured]
    above.plot(times, recall, ".-", color=BLUE, label="without a filter")
    if lowest != recall:
        above.plot(times, lowest, ".--", color=ORANGE, label="lowest inside a filter")
    promised = [
        (at, each.recall_target)
        for at, (_, each) in zip(times, measured, strict=True)
        if each.recall_target is not None
    ]
    if promised:
        above.step(*zip(*promised, strict=True), ":", where="post", color=GREY, label="promised")
    below.plot(
        times, [q.latency_p50_ms for _, q in measured], ".-", color=BLUE, label="half of them"
    )
    below.plot(
        times, [q.latency_p99_ms for _, q in measured], ".-", color=ORANGE, label="99% of them"
    )
    days = AutoDateLocator(maxticks=MOST_DATES)
    below.xaxis.set_major_locator(days)
    below.xaxis.set_major_formatter(ConciseDateFormatter(days))
    below.set_yscale("log")
    below.yaxis.set_major_formatter("{x:g}")
    above.set_ylabel("recall@10")
    below.set_ylabel("within ms")
    for axes in (above, below):
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return _markdown(figure, title)


def chunk_lengths(counts: Mapping[int, int], cut_at: int, window: int) -> str:
    """How long the searched chunks are, in tokens, and how much of one the model reads.

    Args:
        counts: how many have so many tokens; at least one.
        cut_at: the most tokens a chunk may have.
        window: the most the model reads.
    """
    lengths, numbers = np.array([*counts]), np.array([*counts.values()])
    longest = max(cut_at, int(lengths.max()))
    step = -(-longest // BARS)
    edges = np.arange(0, longest + step, step) + 0.5
    title = f"Lengths of {numbers.sum():,} searched chunks"
    figure, [axes] = _figure(title)
    axes.hist(lengths, bins=edges.tolist(), weights=numbers, color=BLUE, rwidth=0.9)
    beyond = window > edges[-1]
    if not beyond:
        _line(axes, window + 0.5, f"the model reads {window:,}", ORANGE)
    if cut_at != window:
        _line(axes, cut_at + 0.5, f"cut at {cut_at:,}", GREY)
    axes.set_xlabel(f"tokens (the model reads {window:,})" if beyond else "tokens")
    axes.set_ylabel("chunks")
    return _markdown(figure, title)


def latencies(milliseconds: NDArray[np.float64], days: int) -> str:
    """How long logged searches took, beside what PRD 14.1 promises of half and of 99% of them.

    Args:
        milliseconds: at least one.
        days: since when.
    """
    milliseconds = milliseconds.clip(min=0.01)
    p50, p99 = np.percentile(milliseconds, [50, 99])
    edges = np.geomspace(milliseconds.min() * 0.9, max(milliseconds.max(), P99_MS) * 1.1, BARS)
    title = (
        f"{len(milliseconds):,} searches of {days} days: half within {p50:.1f} ms, "
        f"99% within {p99:.1f} ms"
    )
    figure, [axes] = _figure(title)
    axes.hist(milliseconds, bins=edges.tolist(), color=BLUE)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    _line(axes, P50_MS, f"half below {P50_MS:g}", GREY)
    _line(axes, P99_MS, f"99% below {P99_MS:g}", ORANGE)
    axes.set_xlabel("milliseconds, without embedding the question")
    axes.set_ylabel("searches")
    return _markdown(figure, title)


def _figure(title: str, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure and its plots, one above the other."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # at first it tells of its font cache
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second

    figure = Figure(INCHES, dpi=DOTS_AN_INCH, facecolor="white", layout="constrained")
    plots = [*figure.subplots(panels, squeeze=False, sharex=True).flat]
    plots[0].set_title(title, fontsize=11, loc="left")
    for axes in plots:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e6e9ee")
        axes.set_axisbelow(True)
    return figure, plots


def _markdown(figure: Figure, title: str) -> str:
    from PIL import Image  # noqa: PLC0415 - matplotlib's own

    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(packed, "png", optimize=True)
    return f"![{title}](data:image/png;base64,{base64.b64encode(packed.getvalue()).decode()})"


def _line(axes: Axes, place: float, words: str, colour: str) -> None:
    """A vertical line, with what it stands for written along it."""
    axes.axvline(place, color=colour, linestyle="--")
    axes.annotate(
        words,
        (place, 0.97),
        xycoords=("data", "axes fraction"),
        xytext=(4, 0),
        textcoords="offset points",
        rotation=90,
        horizontalalignment="left",
        verticalalignment="top",
        color=colour,
    )


def _spread(values: Sequence[float]) -> list[float]:
    """Those that can be written below a logarithmic axis, the last one among them."""
    apart = (values[-1] / values[0]) ** CLOSEST_TICKS
    shown = [values[-1]]
    for value in reversed(values):
        if shown[-1] / value > apart:
            shown.append(value)
    return shown[::-1]
