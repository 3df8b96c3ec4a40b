"""Every error that Gijun raises on purpose: one tree, messages that say what would be right."""

from __future__ import annotations


class GijunError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    message
        What was wrong and what would be right, in one or two sentences for a person.
    field
        The input that was wrong (``"base_ym"``, ``"requests[3].feature01"``), where there is one.
    """

    #: short machine word, becomes the `type` of a problem+json answer
    code = "error"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class InvalidInput(GijunError):
    """A value that a person or a program gave is wrong."""

    code = "invalid-input"


class InvalidDate(InvalidInput):
    code = "invalid-date"


class SqlRejected(InvalidInput):
    """The text is not one read-only SELECT over known tables."""

    code = "sql-rejected"


class UnknownParameter(SqlRejected):
    """A ``{name}`` that the date dictionary does not hold."""

    code = "unknown-parameter"


class ExpressionInvalid(InvalidInput):
    """A derived-variable expression that does not parse or uses what the language lacks."""

    code = "expression-invalid"


class DefinitionInvalid(InvalidInput):
    """A model or feature-set definition that cannot work."""

    code = "definition-invalid"


class InputTypeException(InvalidInput, TypeError):
    """`save_pandas_to_table` was given something else than a DataFrame."""

    code = "input-type"


class OfflineStoreError(GijunError):
    code = "offline-store"


class TableNotFound(OfflineStoreError):
    code = "table-not-found"


class TableExists(OfflineStoreError):
    code = "table-exists"


class ColumnMismatch(OfflineStoreError):
    code = "column-mismatch"


class QueryFailed(OfflineStoreError):
    code = "query-failed"


class QueryTimeout(QueryFailed):
    """The query ran longer than it may; nothing of it runs any more."""

    code = "query-timeout"


class QueryCancelled(QueryFailed):
    """Somebody stopped the query; nothing of it runs any more."""

    code = "query-cancelled"


class QueryTooLarge(QueryFailed):
    """The answer has more rows, or needs more memory, than this query may take."""

    code = "query-too-large"


class ConnectionFault(OfflineStoreError):
    """The engine cannot be reached; the message names the fault: refused, mechanism, database."""

    code = "connection"


class OnlineStoreError(GijunError):
    code = "online-store"


class NotOnline(OnlineStoreError):
    """Nothing was ever published or streamed of this feature-set version."""

    code = "not-online"


class DataError(GijunError):
    """The data cannot carry what was asked of it."""

    code = "data"


class EmptyMonth(DataError):
    code = "empty-month"


class SingleClassTarget(DataError):
    code = "single-class-target"


class ArtifactMissing(GijunError):
    code = "artifact-missing"


class PackageError(GijunError):
    code = "package"


class PackageDamaged(PackageError):
    """Bytes do not match their hash, or a file of the package does not parse."""

    code = "package-damaged"


class ParityFailed(PackageError):
    """Two ways of scoring the same row do not agree."""

    code = "parity-failed"


class SignatureInvalid(PackageError):
    code = "signature-invalid"


class RequestInvalid(InvalidInput):
    """A scoring request that the contract refuses."""

    code = "request-invalid"


class StepCancelled(GijunError):
    code = "cancelled"


class AccessDenied(GijunError):
    """The person may not do this, here, now."""

    code = "access-denied"


class Conflict(GijunError):
    """Somebody else was first, or the row is no longer in the state that this needs."""

    code = "conflict"
