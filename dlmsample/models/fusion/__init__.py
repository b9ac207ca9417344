"""Stock layers compiled by ``torch.compile``; linear layers that read the same value become one matrix product, and may
hold their weights in eight bits."""
