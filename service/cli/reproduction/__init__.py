"""The tables of the sources, filled in from the jobs that a service holds. Imported late: it needs the presets."""
