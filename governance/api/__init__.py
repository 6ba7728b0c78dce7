"""The REST of this layer, one module for each subject."""
