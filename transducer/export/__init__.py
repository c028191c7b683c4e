"""From PyTorch to ONNX: a model as a folder of graphs that onnxruntime runs, which needs no PyTorch."""
