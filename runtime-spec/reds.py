"""Why a statement is red on a runtime, where the failure does not say it."""

REDS = {}
