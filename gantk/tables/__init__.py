"""Tables: the rows and columns that runs give, their differences, and the forms in which they are written."""
