"""Models of learners, one file each."""
