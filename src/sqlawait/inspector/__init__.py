"""One offline page that shows what a request did."""
