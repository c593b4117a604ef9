"""What a learner may be like, a kind a file: each is K hypotheses, which differ in their traits."""
