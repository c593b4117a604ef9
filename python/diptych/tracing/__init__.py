"""Visual knowledge tracing: how a learner will answer next."""
