"""Stage 4, continue: tune the model in service on new logs; replace it only if nothing speaks against the new one."""
