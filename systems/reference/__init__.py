"""The bundled reference implementation of the consensus protocols."""
