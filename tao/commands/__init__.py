"""The verbs of `tao`, one file each: ``add`` declares its options, ``run`` does it; nothing heavy is imported on top."""
