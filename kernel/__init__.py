"""Layer 0: what every layer needs and no layer owns. It has no tables and knows no domain noun."""
