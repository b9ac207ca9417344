"""The page on which a reader walks through the steps of a decoding: of ``--trace``, and live in the server."""
