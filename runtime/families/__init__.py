"""Model families behind one protocol: table, softmax, mixture, diffusion, flow, vae, gan, transformer, rows."""
