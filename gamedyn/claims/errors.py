"""What goes wrong with certificates."""

from __future__ import annotations


class CertificateError(RuntimeError):
    """The solver gave no certificate.

    Parameters
    ----------
    status : str
        The solver's status.
    message : str

    Attributes
    ----------
    status : str
    """

    def __init__(self, status: str, message: str) -> None:
        self.status = status
        super().__init__(message)
