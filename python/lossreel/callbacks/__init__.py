"""Callbacks for the loops of others, one module each: ``lightning``, ``keras``, ``huggingface``.

Each takes the arguments of :class:`lossreel.Recorder` but the model, which the loop knows, and imports its
library when it is imported itself.
"""
