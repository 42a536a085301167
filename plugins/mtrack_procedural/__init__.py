"""mtrack plugin: clips of the Unitree G1 made by calculation, so that training needs no dataset."""
