"""The motion source `procedural`: calculated clips of any biped, so that training needs no dataset."""
