"""Every error of Keyturn, named by what to do next.

KeyturnError
├── ConfigurationError        mend the settings, start again
├── InputError                mend the input; every fault is listed
├── LedgerUnavailable         nothing was stored; send it again shortly
└── UpstreamError             an outside system did not do what was asked
    ├── TryAgain              passing trouble: network, 5xx, 429; repeat after a pause
    │   └── NotYet            we hold the call back ourselves; come back then, nothing was tried
    ├── Busy                  the system still works on an earlier change; come back in hours
    ├── Refused               the system says no for good; a person must decide
    └── OurFault              our request or our credentials are wrong; repeating cannot help
"""

from collections.abc import Sequence


class KeyturnError(Exception):
    """Something that Keyturn foresaw went wrong."""


class ConfigurationError(KeyturnError):
    """The settings are missing or wrong."""


class InputError(KeyturnError):
    """The input is wrong.

    Attributes:
        faults: every fault, one sentence each, with where it stands and what was expected.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class LedgerUnavailable(KeyturnError):
    """The ledger could not be read or written within its bound."""


class UpstreamError(KeyturnError):
    """An outside system did not do what was asked.

    Attributes:
        call: the verb or path that was called, without host or parameters, such as ``/e2e/key/rotate``.
        status: the HTTP status, or None when no answer came.
        sent: False when it is certain that the request never left us, True when the system may have acted.
    """

    def __init__(self, message: str, *, call: str, status: int | None = None, sent: bool = True) -> None:
        super().__init__(message)
        self.call = call
        self.status = status
        self.sent = sent


class TryAgain(UpstreamError):
    """Passing trouble; the same request may succeed later.

    Attributes:
        retry_after: seconds that the system asked us to wait, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        call: str,
        status: int | None = None,
        sent: bool = True,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, call=call, status=status, sent=sent)
        self.retry_after = retry_after


class NotYet(TryAgain):
    """We hold the call back ourselves: the system is out of order, told us to wait, or has been asked often enough.

    Nothing was sent, so waiting costs no attempt. `retry_after` says when to come back.
    """


class Busy(UpstreamError):
    """The system still works on an earlier change of the same thing."""


class Refused(UpstreamError):
    """The system refuses this request for good."""


class OurFault(UpstreamError):
    """Our request or our credentials are wrong."""
