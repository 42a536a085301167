"""What the author of a plugin reads: component fields, the contract of each kind, and the types they exchange."""
