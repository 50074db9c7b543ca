"""STUB"""
from filestore.functions import *
from filestore.functions import EMPTY_CONFIG, Function, Tool, FunctionConfig
class ConfigFiles:
    def __init__(self, root, pattern): self.p=pattern
    def current(self): return EMPTY_CONFIG
