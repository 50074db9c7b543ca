"""STUB codec."""
from __future__ import annotations
import json, math, re, uuid, dataclasses
from collections.abc import Mapping, Sequence
import orjson
from filestore.errors import JSONTextError, ShapeError
JSONValue = None | bool | int | float | str | list["JSONValue"] | dict[str, "JSONValue"]
JSONObject = dict[str, JSONValue]
MAX_DEPTH, FILE_DEPTH, RAW_DEPTH = 128, 136, 127
def depth(value):
    best=0; stack=[(value,1)]
    while stack:
        v,d=stack.pop()
        if isinstance(v,(list,dict)):
            best=max(best,d); stack.extend((x,d+1) for x in (v if isinstance(v,list) else v.values()))
    return best
def loads(data, *, max_depth=MAX_DEPTH):
    if not data.strip(): raise JSONTextError("EOF while parsing a value",1,0)
    try: v=orjson.loads(data)
    except orjson.JSONDecodeError as e: raise JSONTextError(e.msg,e.lineno,e.colno) from None
    if depth(v)>max_depth: raise JSONTextError("recursion limit exceeded",1,1)
    def pairs(p):
        d=dict(p)
        if len(d)!=len(p): raise JSONTextError("duplicate key",1,1)
        return d
    def pint(s):
        i=int(s)
        if not -2**63<=i<2**64: raise JSONTextError("integer beyond 64 bits",1,1)
        return i
    json.loads(data,object_pairs_hook=pairs,parse_int=pint)
    return v
def loads_file(data): return loads(data.removeprefix(b'\xef\xbb\xbf'),max_depth=FILE_DEPTH)
def _fix(v):
    if isinstance(v,float):
        if v and not 1e-5<=abs(v)<1e16:
            m,_,e=repr(v).partition('e'); return orjson.Fragment(f"{m.removesuffix('.0')}e{int(e)}".encode())
        return v
    if isinstance(v,list): return [_fix(x) for x in v]
    if isinstance(v,dict): return {k:_fix(x) for k,x in v.items()}
    return v
def dumps(value): return orjson.dumps(_fix(value),option=orjson.OPT_INDENT_2|orjson.OPT_APPEND_NEWLINE)
def compact(value): return orjson.dumps(_fix(value)).decode()
def needs_exponent(v):
    if isinstance(v,float): return v!=0 and not 1e-5<=abs(v)<1e16
    if isinstance(v,list): return any(map(needs_exponent,v))
    if isinstance(v,dict): return any(map(needs_exponent,v.values()))
    return False
def parse_raw(text):
    try: v=orjson.loads(text.encode())
    except (UnicodeEncodeError,orjson.JSONDecodeError) as e: raise ValueError(str(e)) from None
    if depth(v)>127: raise ValueError("deep")
    return v
def is_same(a,b): return type(a)==type(b) and (orjson.dumps(a,option=orjson.OPT_SORT_KEYS)==orjson.dumps(b,option=orjson.OPT_SORT_KEYS))
def to_json_value(obj,pointer=()):
    if obj is None or isinstance(obj,(bool,int,str)): return obj
    if isinstance(obj,float):
        if not math.isfinite(obj): raise ShapeError("not finite",pointer)
        return obj
    if isinstance(obj,Mapping): return {k:to_json_value(v,(*pointer,k)) for k,v in obj.items()}
    if isinstance(obj,(list,tuple)): return [to_json_value(v,(*pointer,i)) for i,v in enumerate(obj)]
    if dataclasses.is_dataclass(obj): return {f.name:to_json_value(getattr(obj,f.name),(*pointer,f.name)) for f in dataclasses.fields(obj)}
    if hasattr(obj,'int') and hasattr(obj,'hex'): return str(obj)
    raise ShapeError(f"{type(obj).__name__} is not JSON",pointer)
def locate(data,pointer,*,key=False): return (1,1)
