"""What a deployment is set up with."""
