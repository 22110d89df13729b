"""The verbs of `tao`, one a file: ``add`` declares its options, ``run`` does it; nothing heavy is imported on top."""
