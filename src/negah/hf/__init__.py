"""Hugging Face models: BLIP, GIT, Florence-2 and vision-encoder-decoder models.

``--model hf:ORG/NAME`` or a folder written by ``save_pretrained``. transformers runs the layers;
search, caches and evidence are implemented here. Needs the extra ``hf``, which is imported only
when a model is opened.
"""
