"""Figures of this machine. `make bench` prints them; none of them is a test."""
