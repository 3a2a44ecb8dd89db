"""The shared code of operators and sensors."""
