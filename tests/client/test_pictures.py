"""Pictures hold what they are drawn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.client import Curve, RasterInfo, Spikes, pictures


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
    assert [top.get_ylabel(), bottom.get_ylabel()] == ["hidden neuron", "input neuron"]
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
