"""The motion source `procedural`: calculated clips of the Unitree G1, so that training needs no dataset."""
