"""Footage into scenes: PySceneDetect's detectors on frames that PyAV decodes, in processes of their own."""
