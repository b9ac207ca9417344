"""The layers of a stock body compiled by torch.compile, with one matrix product for layers that read the same value."""
