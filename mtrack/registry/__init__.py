"""Finds installed components by their entry points, imports them, and checks each against its contract."""
