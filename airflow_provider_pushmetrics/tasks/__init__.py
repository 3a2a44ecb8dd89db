"""What operators and sensors share about the task that runs them."""
