"""interjudge: how far do several judges of model outputs agree, and which verdicts can be trusted?"""

__version__ = "0.1.0"
