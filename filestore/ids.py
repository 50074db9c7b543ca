"""STUB ids."""
from __future__ import annotations
import re, uuid, threading, secrets, unicodedata
from datetime import datetime, UTC, timedelta
from urllib.parse import quote, unquote
from filestore.errors import InvalidIdError, DatasetNameError
_U=re.compile(r"(?:urn:uuid:)?([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})|\{([0-9a-fA-F-]{36})\}|([0-9a-fA-F]{32})")
def parse_uuid(t):
    m=_U.fullmatch(t)
    if not m: raise InvalidIdError("UUID parsing failed: invalid character")
    return uuid.UUID(m[1] or m[2] or m[3])
E0=datetime(1970,1,1,tzinfo=UTC)
def created_at(i): return E0+timedelta(milliseconds=i.int>>80)
def check_tensorzero_uuid(i,now):
    if i.version!=7: raise InvalidIdError(f"Invalid Datapoint ID: Version must be 7, got {i.version}")
    s=(i.int>>80)/1000
    if s<1579751960: raise InvalidIdError("Invalid Datapoint ID: Timestamp is too early")
    if int(s)>now.timestamp(): raise InvalidIdError("Invalid Datapoint ID: Timestamp is in the future")
class IdMaker:
    def __init__(self,clock,random_bits=secrets.randbits):
        self.c=clock; self.l=threading.Lock(); self.last=0; self.r=random_bits
    def make(self,count=1,after=None):
        with self.l:
            out=[]
            for _ in range(count):
                ms=int(self.c().timestamp()*1000)
                v=(ms<<74)|self.r(73)
                v=max(v,self.last+1+self.r(20)); self.last=v
                out.append(uuid.UUID(int=((v>>74)<<80)|(7<<76)|(((v>>62)&0xfff)<<64)|(2<<62)|(v&((1<<62)-1))))
            return out
_F=re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.json")
def parse_file_name(n): return uuid.UUID(n[:-5]) if _F.fullmatch(n) else None
def file_name(i): return f"{i}.json"
def spell_dataset_name(n):
    if n=="builder" or n.startswith("tensorzero::"): raise __import__('filestore.errors').errors.ReservedDatasetNameError(n)
    if '@' in n or not n: raise DatasetNameError(f"Invalid dataset name: {n}. bad")
    s=quote(n,safe=" ")
    if s[0]=='.': s='%2E'+s[1:]
    if len(s)>120: raise DatasetNameError(f"Invalid dataset name: {n}. too long")
    return s
def parse_directory_name(d):
    try: n=unquote(d); return n if spell_dataset_name(n)==d else None
    except DatasetNameError: return None
def fold_dataset_name(n): return unicodedata.normalize("NFC",n).casefold()
def format_time(d): return d.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
def parse_time(t): return datetime.strptime(t,"%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
def format_wire_time(d): return d.strftime("%Y-%m-%dT%H:%M:%SZ")
def format_file_time(d): return d.strftime("%Y%m%dT%H%M%S.%fZ")
def parse_file_time(t): return datetime.strptime(t,"%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
