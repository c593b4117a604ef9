"""The names of the actions, in the order of their numbers."""

#: Action 0 puts objects into a scene, action 1 takes some away, action 2 shakes: only their places change.
ACTIONS = ("put", "take", "shake")
