"""The words we use: shapes and rules without any input or output."""
