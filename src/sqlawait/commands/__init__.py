"""What the longer commands do: one file each."""
