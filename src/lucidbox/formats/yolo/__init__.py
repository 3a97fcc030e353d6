"""YOLO's text files and data.yaml."""
