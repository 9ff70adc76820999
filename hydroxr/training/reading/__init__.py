"""Read and check what a model learns from: at once, or in shards where it exceeds the memory."""
