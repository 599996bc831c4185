"""The words of CENTAGATE: kinds and states of tokens, return codes, and what we read out of its answers."""

from schemas.centagate.codes import CODES, Reaction, ReturnCode
from schemas.centagate.looks import TokenLook, read_code, read_object, read_status, read_text, read_tokens
from schemas.centagate.tokens import Match, StatusType, TokenStatus, TokenType, compare

__all__ = [
    "CODES",
    "Match",
    "Reaction",
    "ReturnCode",
    "StatusType",
    "TokenLook",
    "TokenStatus",
    "TokenType",
    "compare",
    "read_code",
    "read_object",
    "read_status",
    "read_text",
    "read_tokens",
]
