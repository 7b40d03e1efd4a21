"""Pages: a Select goes in, a Select comes out; rows go in, a Page comes out."""
