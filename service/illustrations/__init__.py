"""Figures that follow their parameters: what the sliders of a web page call."""
