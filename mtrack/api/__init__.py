"""The interface for plugins: fields of components, the contract of each kind, and the types that they exchange.

Start with `protocols` (the contracts), `scene` (what components see) and `fields` (parameters and state). Most names
can be imported from `mtrack` itself.
"""
