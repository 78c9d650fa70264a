from .client import Cri, CriError, parse_log

__all__ = ["Cri", "CriError", "parse_log"]
