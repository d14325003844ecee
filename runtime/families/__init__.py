"""Model families behind one protocol: table, softmax, mixture, diffusion."""
