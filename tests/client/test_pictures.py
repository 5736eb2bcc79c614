"""Pictures hold what they are drawn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from service.client import Curve, RasterInfo, ReceptiveFields, Spikes, pictures
from service.client.pictures.every_step import probabilities
from tests.client.samples import (
    CONFUSED,
    CONFUSION,
    conversion_outcome,
    decisions,
    digit_fields,
    every_step_sample,
    k_winners_sample,
    recall_sample,
    sequence_sample,
    softmax_sample,
)


def curve(name: str, split: str, *values: float) -> Curve:
    return Curve(name, split, np.arange(1, len(values) + 1), np.array(values))


def info(layer: str, n_neurons: int, n_spikes: int) -> RasterInfo:
    return RasterInfo.of(
        {
            "id": f"ras_{layer}",
            "epoch": 1,
            "split": "test",
            "layer": layer,
            "sample": 0,
            "n_steps": 40,
            "n_neurons": n_neurons,
            "dt_ms": 1.0,
            "n_spikes": n_spikes,
        }
    )


def spikes(*pairs: tuple[float, int]) -> Spikes:
    return Spikes(np.array([t for t, _ in pairs], np.float32), np.array([n for _, n in pairs], np.uint32))


def test_each_metric_has_a_panel_and_each_split_a_line() -> None:
    curves = [curve("loss", "train", 2, 1), curve("loss", "validation", 2, 1.5), curve("accuracy", "test", 0.9)]
    figure = pictures.learning_curves(curves, "title")
    loss, accuracy = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "accuracy"]
    assert [list(line.get_ydata()) for line in loss.lines] == [[2, 1], [2, 1.5]]
    assert list(accuracy.lines[0].get_ydata()) == [0.9]
    assert accuracy.lines[0].get_marker() == "o"


def test_a_raster_has_a_panel_a_layer_with_the_first_at_the_bottom_and_every_spike() -> None:
    panels = [(info("input", 64, 2), spikes((0.0, 0), (39.0, 63))), (info("hidden", 120, 1), spikes((5.0, 7)))]
    figure = pictures.raster(panels, "title")
    bottom, top = figure.axes
    assert [axes.get_title(loc="left") for axes in (top, bottom)] == ["hidden", "input"]
    assert top.get_position().y0 > bottom.get_position().y0
    assert np.asarray(bottom.collections[0].get_offsets()).tolist() == [[0, 0], [39, 63]]
    assert np.asarray(top.collections[0].get_offsets()).tolist() == [[5, 7]]
    assert bottom.get_xlim() == top.get_xlim() == (-0.5, 39.5)


def test_what_the_sample_looks_like_stands_beside_its_input() -> None:
    image = np.arange(64).reshape(8, 8)
    figure = pictures.raster([(info("input", 64, 1), spikes((0.0, 0)))], "title", image, "a digit")
    drawn = figure.axes[-1]
    assert np.array_equal(drawn.images[0].get_array(), image)
    assert drawn.get_title() == "a digit"


def test_a_silent_layer_can_be_drawn(tmp_path: Path) -> None:
    pictures.save(pictures.raster([(info("hidden", 1, 0), spikes())], "silence"), tmp_path / "silence.png")
    assert (tmp_path / "silence.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(ValueError, match="no curves"):
        pictures.learning_curves([], "title")
    with pytest.raises(ValueError, match="no rasters"):
        pictures.raster([], "title")


def test_drawing_leaves_no_figure_behind_in_pyplot() -> None:
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    pictures.learning_curves([curve("loss", "train", 1, 2)], "title")
    assert plt.get_fignums() == before


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def headed(figure: Figure, name: str) -> Axes:
    """The panel with that heading."""
    (axes,) = (axes for axes in figure.axes if axes.get_title(loc="left") == name)
    return axes


# --- learning -------------------------------------------------------------------------------------------------------


def test_a_loss_over_decades_gets_a_logarithmic_axis_and_an_accuracy_never_does() -> None:
    falling = [curve("loss", "train", 60, 3), curve("accuracy", "train", 0.05, 0.9)]
    loss, accuracy = pictures.learning_curves(falling, "title").axes
    assert (loss.get_yscale(), accuracy.get_yscale()) == ("log", "linear")
    for nearly in ((6, 3), (60, 0), (60, float("nan"))):
        (loss,) = pictures.learning_curves([curve("loss", "train", *nearly)], "title").axes
        assert loss.get_yscale() == "linear", nearly


def test_published_number_and_ceiling_are_lines_in_the_panel_of_their_metric() -> None:
    references = [pictures.Reference("accuracy", "published", 0.942), pictures.Reference("accuracy", "ceiling", 0.96)]
    curves = [curve("loss", "train", 2, 1), curve("accuracy", "train", 0.5, 0.9)]
    loss, accuracy = pictures.learning_curves(curves, "title", references).axes
    assert len(loss.lines) == 1
    legend = accuracy.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["train", "published 0.942", "ceiling 0.96"]
    assert [np.ravel(line.get_ydata())[0] for line in accuracy.lines[1:]] == [0.942, 0.96]


# --- rates ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [False, True])
def test_outputs_stand_beside_their_targets_and_the_answer_is_judged(wrong: bool) -> None:
    sample = softmax_sample(wrong=wrong)
    figure = pictures.rates(sample, "title")
    bars = headed(figure, "read out")
    targets, outputs = ([bar.get_height() for bar in container] for container in bars.containers)
    assert sample.targets is not None
    assert targets == pytest.approx(sample.targets[0])
    assert outputs == pytest.approx(sample.outputs[0])
    assert bars.get_title(loc="right").startswith("wrong" if wrong else "right")
    assert bars.get_xlabel() == "output, read from 30 to 300 ms"
    rasters = [headed(figure, name) for name in ("input", "hidden", "output")]
    assert [axes.get_position().y0 for axes in rasters] == sorted(axes.get_position().y0 for axes in rasters)
    assert [label.get_text() for label in headed(figure, "output").get_yticklabels()] == [str(i) for i in range(10)]


def test_k_winners_have_the_borders_and_what_is_on_the_wrong_side_is_crossed() -> None:
    bars = headed(pictures.rates(k_winners_sample(16, 3), "title"), "read out")
    assert {"off below 20", "on above 50"} <= set(texts(bars))
    assert [np.ravel(line.get_ydata())[0] for line in bars.lines] == [20, 50]
    assert texts(bars).count("✗") == 1
    last = max(bar.get_x() + bar.get_width() for container in bars.containers for bar in container)
    assert last < 0.85 * bars.get_xlim()[1], "the words at the borders stand beside the bars"
    assert bars.get_title(loc="right") == "1 of 16 on the wrong side"


# --- recall ---------------------------------------------------------------------------------------------------------


def test_recalls_are_judged_one_by_one_and_the_input_is_named() -> None:
    figure = pictures.recall(recall_sample(), "title")
    output = headed(figure, "read out")
    assert texts(output) == ["✓ 1", "✗ 0, not 3", "✓ 0"]
    assert output.get_title(loc="right").startswith("2 of 3 recalls right")
    names = [label.get_text() for label in headed(figure, "input").get_yticklabels()]
    assert names == ["value 0", "value 1", "value 2", "value 3", "store", "recall"]
    panels = ["input", "hidden", "embedded.input", "embedded.hidden", "output", "read out"]
    heights = [headed(figure, name).get_position().y0 for name in panels]
    assert heights == sorted(heights)
    shaded = [patch.get_x() for patch in headed(figure, "hidden").patches]
    assert shaded == [800, 1400, 2200], "the slots of the recalls"
    assert {headed(figure, name).get_xlim() for name in panels} == {(0, 2400)}


# --- sequence -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "prediction", "verdict"), [(28, 0, "right: a 0"), (14, 6, "wrong: a 0, taken for a 6")]
)
def test_a_sequence_is_drawn_over_time_and_as_the_image_that_it_was(side: int, prediction: int, verdict: str) -> None:
    sample = sequence_sample(side, prediction)
    figure = pictures.sequence(sample, "title")
    pixels = np.array(sample.reading.input)
    stairs = headed(figure, "input").patches[0]
    assert np.array_equal(stairs.get_data().values, pixels)  # type: ignore[attr-defined]
    (image,) = (axes.images[0] for axes in figure.axes if axes.images)
    assert np.array_equal(image.get_array(), pixels.reshape(side, side))
    outputs = headed(figure, "read out")
    assert outputs.get_title(loc="right") == verdict
    assert [bar.get_width() for bar in outputs.containers[0]] == pytest.approx(sample.outputs[0])


def test_every_picture_of_a_sample_can_be_saved(tmp_path: Path) -> None:
    drawn = {
        "rates": pictures.rates(softmax_sample(32), "softmax"),
        "winners": pictures.rates(k_winners_sample(5, 1), "k-winners"),
        "recall": pictures.recall(recall_sample(embedded=False), "recall"),
        "sequence": pictures.sequence(sequence_sample(14, last_step_only=True), "sequence"),
    }
    for name, figure in drawn.items():
        pictures.save(figure, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_outputs_that_are_no_numbers_can_be_drawn(tmp_path: Path) -> None:
    for draw, sample in ((pictures.rates, k_winners_sample()), (pictures.recall, recall_sample())):
        lost = [[None for _ in row] for row in sample.reading.outputs]
        diverged = pictures.Sample(sample.panels, sample.reading.model_copy(update={"outputs": lost}))
        pictures.save(draw(diverged, "lost"), tmp_path / "lost.png")


@pytest.mark.parametrize(("prediction", "verdict"), [(3, "right"), (5, "wrong")])
def test_a_class_over_time_is_a_probability_with_the_right_one_told_apart(prediction: int, verdict: str) -> None:
    sample = every_step_sample(prediction)
    believed = probabilities(sample)
    assert np.allclose(believed.sum(axis=1), 1)
    figure = pictures.every_step(sample, "title")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["read out at every step", "hidden_2", "hidden_1"]
    top = figure.axes[0]
    assert top.get_title(loc="right") == verdict
    drawn = {str(patch.get_label()): patch.get_data().values for patch in top.patches if isinstance(patch, StepPatch)}
    words = f"3, the right class: {believed[:, 3].mean():.3f} on average"
    assert np.allclose(drawn[words], believed[:, 3])
    assert any("the answer" in label for label in drawn) == (verdict == "wrong")
    assert len(top.patches) == 10
    assert len({axes.get_xlim() for axes in figure.axes}) == 1, "all panels share their time"


def test_a_single_current_stands_above_a_class_over_time(tmp_path: Path) -> None:
    figure = pictures.every_step(every_step_sample(current=True), "title")
    above = {axes.get_title(loc="left"): axes.get_position().y0 for axes in figure.axes}
    assert max(above, key=lambda name: above[name]) == "input"
    pictures.save(figure, tmp_path / "every_step.png")


def points(n: int) -> list[pictures.PointCurves]:
    return [
        pictures.PointCurves(f"point {i}", [curve("accuracy", "validation", i, i + seed) for seed in (0, 2)])
        for i in range(n)
    ]


def test_a_sweep_has_a_line_a_point_through_the_mean_of_its_seeds_and_a_band_around_them(tmp_path: Path) -> None:
    reference = pictures.Reference("accuracy", "published", 0.9)
    figure = pictures.sweep_curves(points(12), "title", [reference], varied="surrogate")
    (axes,) = figure.axes
    *lines, published = axes.lines
    assert [np.asarray(line.get_ydata()).tolist() for line in lines] == [[i, i + 1] for i in range(12)]
    assert published.get_label() == "published 0.9"
    heights = np.asarray(axes.collections[3].get_paths()[0].vertices)[:, 1]
    assert (heights.min(), heights.max()) == (3, 5)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [f"point {i}" for i in range(12)]
    assert legend.get_title().get_text() == "surrogate"
    assert len({str(line.get_color()) for line in lines}) == 12
    pictures.save(figure, tmp_path / "sweep.png")


def test_seeds_are_averaged_where_all_of_them_have_a_value() -> None:
    early = [curve("loss", "validation", 3, 2, 1), curve("loss", "validation", 5, 4)]
    figure = pictures.sweep_curves([pictures.PointCurves("all jobs", early)], "title")
    (line,) = figure.axes[0].lines
    assert (np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist()) == ([1, 2], [4, 3])


def test_a_sweep_without_curves_is_no_picture() -> None:
    with pytest.raises(ValueError, match="no curves"):
        pictures.sweep_curves([pictures.PointCurves("nothing", [])], "title")


# --- outcomes -------------------------------------------------------------------------------------------------------


def test_fields_have_a_tile_a_neuron_sorted_by_class_with_those_without_one_at_the_end(tmp_path: Path) -> None:
    info, fields = digit_fields(40)
    figure = pictures.receptive_fields(info, fields, "title")
    axes = figure.axes[0]
    sheet = np.asarray(axes.images[0].get_array())
    assert sheet.shape == (6 * 29 + 1, 7 * 29 + 1), "six rows of seven"
    assert fields.labels is not None
    first = int(np.flatnonzero(fields.labels == fields.labels[fields.labels >= 0].min())[0])
    assert np.array_equal(sheet[1:29, 1:29], fields.weights[first].reshape(28, 28))
    last = int(np.flatnonzero(fields.labels < 0)[-1])
    assert np.array_equal(sheet[146:174, 117:145], fields.weights[last].reshape(28, 28)), "the 40th tile"
    assert [int(word) for word in texts(axes)] == sorted(fields.labels[fields.labels >= 0])
    assert axes.images[0].get_clim() == (info.low, info.high)
    pictures.save(figure, tmp_path / "fields.png")


def test_fields_without_classes_stand_in_their_order_and_negative_ones_around_zero() -> None:
    info, fields = digit_fields(4, classes=False)
    figure = pictures.receptive_fields(info.model_copy(update={"low": -3.0}), fields, "title")
    image = figure.axes[0].images[0]
    assert np.array_equal(np.asarray(image.get_array())[1:29, 30:58], fields.weights[1].reshape(28, 28))
    assert image.get_clim() == (-3, 3)


@pytest.mark.parametrize(("channels", "sheet"), [(3, (6, 6, 3)), (2, (6, 10))])
def test_colours_are_drawn_as_such_and_other_channels_side_by_side(channels: int, sheet: tuple[int, ...]) -> None:
    info, _ = digit_fields(1)
    weights = np.random.default_rng(0).random((1, 4 * 4 * channels)).astype(np.float32)
    small = info.model_copy(update={"shape": (4, 4, channels)})
    fields = ReceptiveFields(np.zeros(1, np.uint32), weights, None)
    assert np.asarray(pictures.receptive_fields(small, fields, "t").axes[0].images[0].get_array()).shape == sheet


def test_a_confusion_matrix_has_right_and_wrong_answers_apart_and_names_the_pairs(tmp_path: Path) -> None:
    figure = pictures.confusion(CONFUSION, CONFUSED, "title")
    cells, words = figure.axes
    right, wrong = (np.ma.getmaskarray(image.get_array()) for image in cells.images)
    assert np.array_equal(~right, np.eye(3, dtype=bool))
    assert np.array_equal(right, ~wrong)
    assert texts(cells) == [str(n) for row in CONFUSION for n in row if n]
    assert cells.get_title(loc="right") == "239 of 300 answers right"
    assert texts(words) == ["2 → 1   30 times, 30.0%\n2 → 0   20 times, 20.0%"]
    pictures.save(figure, tmp_path / "confusion.png")
    pictures.save(pictures.confusion(np.diag(range(30)).tolist(), [], "none"), tmp_path / "many.png")


@pytest.mark.parametrize("wrong", [120, 0])
def test_reaction_times_are_shares_of_their_answers_with_their_medians_and_tests(wrong: int, tmp_path: Path) -> None:
    outcome = decisions(wrong)
    figure = pictures.reaction_times(outcome, "title")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["train", "test"]
    train = figure.axes[0]
    for patch, which in zip(train.patches[::2], ("correct", "wrong"), strict=False):
        assert isinstance(patch, StepPatch)
        counts = np.array(outcome["splits"]["train"]["histograms"][which])
        assert np.allclose(patch.get_data().values, counts / counts.sum())
    assert len(train.patches) == (4 if wrong else 2)
    medians = [np.ravel(line.get_xdata())[0] for line in train.lines]
    assert medians == [median for median in outcome["splits"]["train"]["median_ms"].values() if median is not None]
    assert ("D = 0.530, p = 1e-36, n = 1,000 and 120" in train.get_xlabel()) == bool(wrong)
    assert figure.get_supxlabel() == "training against test: D = 0.070, p = 0.054, n = 900 and 900"
    pictures.save(figure, tmp_path / "times.png")


def test_a_conversion_has_a_bar_a_phase_and_a_line_a_layer(tmp_path: Path) -> None:
    names = [f"{name}.hidden_{i}" for name in ("leak", "v_threshold") for i in (1, 2)]
    figure = pictures.conversion(conversion_outcome(), [curve(name, "train", 1, 0.9) for name in names], "title")
    bars, leak, threshold = figure.axes
    assert [bar.get_height() for bar in bars.containers[0]] == [0.993, 0.906, 0.989, 0.992]
    assert [label.get_text() for label in bars.get_xticklabels()] == [
        "not spiking",
        "converted,\n5 steps",
        "converted,\n100 steps",
        "fine-tuned",
    ]
    assert [str(line.get_label()) for line in leak.lines] == ["hidden_1", "hidden_2"]
    assert np.asarray(threshold.lines[1].get_ydata()).tolist() == [1, 0.9]
    pictures.save(figure, tmp_path / "conversion.png")
    assert len(pictures.conversion(conversion_outcome(), [], "no curves").axes) == 1
