"""Commands for users and plugin authors.

`check`, `show`, `diff` and `schema` for recipes; `describe` and `list-plugins` for components; `doctor` for an
installation; `plan` for the time a recipe takes; `new-plugin` for a new package.
"""
