"""What is done to a scene: numbers 0, 1 and 2 stand for putting, taking and shaking."""

#: The actions by their numbers.
ACTIONS = ("put", "take", "shake")
