"""Other servers, brought up to carry the same load as ours: Janus, and one made of aiortc's `MediaRelay`."""
