"""The decoder on ONNX Runtime: 8-bit weights and activations on a CPU, without PyTorch in the process."""
