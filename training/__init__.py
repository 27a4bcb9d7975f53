"""From a data set to a classifier: features, head, calibration, evaluation, report.

`train` makes a bundle, `evaluate` measures one, `predict` uses one. Modules that need torch say so.
"""
