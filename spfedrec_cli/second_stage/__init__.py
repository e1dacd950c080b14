"""What a device ranks by when it ranks for itself: candidates, features of customer and item, forms and losses."""
