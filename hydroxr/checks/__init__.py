"""What a Dataset holds, in numbers, and whether that can be: the work of ``ds.hbv.check()``."""
