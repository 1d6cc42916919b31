"""Other libraries' interfaces over the SDK, each an optional extra."""
