"""Every write of this layer, one function for each thing that can happen."""
