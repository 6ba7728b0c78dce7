"""The checks engine: files in, exact aggregates and measurements out. It imports no Django.

`monitoring.engine.run.run_check` is the one way in. Heavy libraries (evidently, fairlearn, shap,
scikit-learn, pandas) are imported inside the functions that need them, in the worker alone.
"""
