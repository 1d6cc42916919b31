"""Pictures of the UI: what is drawn in them, and that they are small and read in either theme."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from assets import plots
from greenlang_vectors.store.records import SearchQuality

MOST_BYTES = 40_000

CURVE = [
    {"width": width, "recall_at_10": recall, "lowest_recall": lowest, "latency_p50_ms": 1.0}
    for width, recall, lowest in [(20, 0.9, 0.85), (40, 0.95, 0.93), (80, 0.98, 0.97)]
]
QUALITY = SearchQuality("model", 40, 100, 0.95, 1.5, 3.0, recall_target=0.94, curve=CURVE)
HISTORY = [
    (datetime(2026, 1, 1, 3, tzinfo=UTC) + timedelta(days=day), replace(QUALITY, ef_search=day))
    for day in range(1, 91)
]
EARLIER = [[{"width": 60, "recall_at_10": 0.97}], [{"width": 30, "recall_at_10": 0.92}]]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Axes]]:
    """The axes of what is drawn, as they were drawn."""
    figures: list[Axes] = []
    saved = Figure.savefig

    def save(figure: Figure, *arguments: object, **options: object) -> None:
        figures.extend(figure.axes)
        saved(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", save)
    return figures


def png(markdown: str) -> bytes:
    alternative, data = markdown.removeprefix("![").removesuffix(")").split("](")
    assert alternative
    return base64.b64decode(data.removeprefix("data:image/png;base64,"), validate=True)


def words(axes: Axes) -> str:
    legend = axes.get_legend()
    labels = [text.get_text() for text in legend.get_texts()] if legend else []
    return " ".join([*(text.get_text() for text in axes.texts), *labels])


@pytest.mark.parametrize(
    "markdown",
    [
        plots.recall_curve("csrd/model", QUALITY, EARLIER * 100),
        plots.chunk_lengths({tokens: tokens % 97 + 1 for tokens in range(1, 513)}, 512, 512),
        plots.latencies(np.random.default_rng(0).lognormal(1, 1, 10_000), 7),
        plots.history("csrd/model", HISTORY),
    ],
    ids=["recall", "lengths", "latency", "history"],
)
def test_pictures_are_small_and_bring_a_light_ground_along(markdown: str) -> None:
    data = png(markdown)
    assert len(data) < MOST_BYTES
    picture = Image.open(io.BytesIO(data))
    assert picture.size == (720, 340)
    assert "transparency" not in picture.info
    colours = picture.convert("RGB")
    assert {colours.getpixel(corner) for corner in [(0, 0), (719, 339)]} == {(255, 255, 255)}


def test_the_curve_shows_what_is_promised_and_what_is_used(drawn: list[Axes]) -> None:
    plots.recall_curve("csrd/model", QUALITY, EARLIER)
    [axes] = drawn
    before, plain, lowest, promised, used = [
        (list(map(float, line.get_xdata())), list(map(float, line.get_ydata())))
        for line in axes.lines
    ]
    assert before == ([60, 30], [0.97, 0.92])
    assert plain == ([20, 40, 80], [0.9, 0.95, 0.98])
    assert lowest == ([20, 40, 80], [0.85, 0.93, 0.97])
    assert promised[1] == [0.94, 0.94]
    assert used == ([40], [0.95])
    assert axes.get_title(loc="left") == (
        "csrd/model: searched 40 wide, recall@10 is 0.9500, half within 1.5 ms"
    )
    assert "in use: 40" in words(axes)
    assert "promised: 0.94" in words(axes)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["20", "30", "40", "60", "80"]


def test_a_curve_of_many_widths_names_few_of_them(drawn: list[Axes]) -> None:
    many = [{**CURVE[0], "width": width} for width in range(10, 1000)]
    plots.recall_curve(
        "a/b", SearchQuality("b", 10, 9, 0.9, 1, 2, recall_target=0.9, curve=many), []
    )
    widths = [float(label.get_text()) for label in drawn[0].get_xticklabels()]
    assert widths[-1] == 999
    assert len(widths) > 10
    assert all(after / before > 1.2 for before, after in pairwise(widths))


def test_the_history_shows_recall_beside_the_promise_and_latency(drawn: list[Axes]) -> None:
    first = replace(QUALITY, recall_at_10=0.99, latency_p50_ms=1.0, recall_target=None)
    last = replace(QUALITY, filtered=[{"filter": {}, "queries": 1, "recall_at_10": 0.91}])
    plots.history("csrd/model", [(HISTORY[0][0], first), (HISTORY[1][0], last)])
    above, below = drawn
    assert [[*map(float, line.get_ydata())] for line in above.lines] == [
        [0.99, 0.95],
        [0.99, 0.91],
        [0.94],
    ]
    assert [[*map(float, line.get_ydata())] for line in below.lines] == [[1.0, 1.5], [3.0, 3.0]]
    assert words(above) == "without a filter lowest inside a filter promised"
    plots.history("csrd/model", HISTORY)
    assert 2 < len(drawn[-1].get_xticks()) <= plots.MOST_DATES + 1  # one may lie beyond the edge


def test_lengths_are_counted_and_the_window_of_the_model_is_marked(drawn: list[Axes]) -> None:
    plots.chunk_lengths({10: 3, 300: 2, 512: 4}, 512, 512)
    plots.chunk_lengths({64: 5}, 64, 512)
    whole, cut = drawn
    assert sum(bar.get_height() for bar in whole.patches) == 9
    assert max(bar.get_height() for bar in whole.patches) == 4
    assert words(whole) == "the model reads 512"
    assert [line.get_xdata()[0] for line in whole.lines] == [512.5]
    assert max(bar.get_x() + bar.get_width() for bar in whole.patches) <= 512.5
    assert words(cut) == "cut at 64"
    assert cut.get_xlabel() == "tokens (the model reads 512)"


def test_latencies_stand_beside_what_is_promised(drawn: list[Axes]) -> None:
    markdown = plots.latencies(np.array([0.0, 1.0, 2.0, 3.0, 250.0]), 7)
    [axes] = drawn
    assert markdown.startswith("![5 searches of 7 days: half within 2.0 ms, 99% within 240.1 ms](")
    assert sum(bar.get_height() for bar in axes.patches) == 5
    assert [line.get_xdata()[0] for line in axes.lines] == [20, 100]
    assert words(axes) == "half below 20 99% below 100"
