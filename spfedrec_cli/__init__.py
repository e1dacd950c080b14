"""SpFedRec: simulate a federated recommender that never collects its customers' purchases."""

__version__ = "0.1.0"
