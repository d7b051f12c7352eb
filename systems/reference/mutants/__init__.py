"""Known bugs as tiny subclasses, so that the framework itself can be measured."""
