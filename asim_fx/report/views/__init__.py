"""The drawings of the HTML page, one a file: values in, elements out."""
