"""What a deployable classifier is: a folder with members, labels and a manifest, and the code that opens and runs it.

The one package that `edge`, `quantize` and `trainer` share. It never imports them, and never TensorFlow.
"""
