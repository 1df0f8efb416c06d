"""Importers: documents from the files shops export, whole or not at all, however the file is cut, killed or damaged."""
