"""What has nothing to do with diffusion: names, validated options, text for people, progress, pages."""
