"""Other people's files: samples and rewards that something else made, and what other trainers read."""
