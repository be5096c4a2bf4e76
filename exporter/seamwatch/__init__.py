"""Own an AI pipeline from data ingestion to model output."""

__version__ = "0.1.0"
