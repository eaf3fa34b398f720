"""The pages in real browsers: Chromium and Firefox, against the whole server, with speech whose length is known."""
