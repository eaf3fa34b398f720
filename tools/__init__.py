"""Tools for those who work on Weltenstimme; none of them is part of an installation."""
