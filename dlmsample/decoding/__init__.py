"""The decoding loop: from prompts to answers. Start reading at :mod:`dlmsample.decoding.sampler`."""
