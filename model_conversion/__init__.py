"""Published ONNX weights to .tflite files, at set-up, without TensorFlow or torch: the same bytes on every machine."""
