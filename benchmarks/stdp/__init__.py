"""How many images a second an unsupervised spiking network learns from: ours, and BindsNET's."""
