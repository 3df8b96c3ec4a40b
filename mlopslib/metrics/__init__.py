"""The figures of a model: stability, ranking, lift, calibration."""
