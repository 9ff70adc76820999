"""The loop over days and the routing convolution, compiled for CPUs."""
