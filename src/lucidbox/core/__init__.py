"""Values and small tools that every room uses; knows nothing of networks, data sets or the command line."""
