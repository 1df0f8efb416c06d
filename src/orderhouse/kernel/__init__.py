"""The words every context speaks; no I/O, no framework, no business of one context."""
