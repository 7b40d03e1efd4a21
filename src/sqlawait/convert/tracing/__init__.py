"""What a sync test suite loads on access, learnt by running it under a recorder."""
