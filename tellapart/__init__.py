"""What every room shares: names, data set, pictures, preprocessing, bundle, wire schema, progress, errors.

This package imports none of the other rooms. Modules that need torch say so in their docstring;
the rest never load it, so that collecting and the web page stay small.
"""

__version__ = "0.1.0"
