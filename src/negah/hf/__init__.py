"""Captioners of Hugging Face: BLIP, GIT, Florence-2 and vision-encoder-decoder models.

``--model hf:ORG/NAME`` or a folder as ``save_pretrained`` writes it. transformers holds the weights
and their arithmetic; the search, its caches and the evidence are ours. Needs the extra ``hf``;
nothing of it is imported before a model is opened.
"""
