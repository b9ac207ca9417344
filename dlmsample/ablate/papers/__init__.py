"""Claims of papers, judged by the results of a grid, and the ledger of them (PAPERS.md)."""
