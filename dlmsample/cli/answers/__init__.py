"""How answers are shown: as text or JSON (``lines``), step by step on a terminal (``steps``), as a page (``page``)."""
