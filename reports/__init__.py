"""Views of a run: the self-contained HTML file and what CI needs."""
