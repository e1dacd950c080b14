"""How updates become one sum. Aggregation sees named integers and messages, never a model."""
