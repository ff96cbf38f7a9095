"""What would help where no connection to PostgreSQL can be made.

Such an error has no SQLSTATE: libpq, or the server before there is a session, has said it in words.
"""

_CREDENTIALS = "Check the role, and its password in PGPASSFILE, PGPASSWORD or the URL's ${env:...}."
_LISTENS = "Check host and port in audit.url, and that the server runs and listens there."

_REMEDIES = (
    (("resolve host", "translate host name"), "Check the host in audit.url."),
    (("password authentication failed", "no password supplied"), _CREDENTIALS),
    (("no pg_hba.conf entry", "authentication failed"), "Let the role in from here in pg_hba.conf of the server."),
    (('FATAL: role "',), "Check the role in audit.url; an administrator makes one: `CREATE ROLE NAME LOGIN`."),
    (("is not permitted to log in",), "Let it log in: `ALTER ROLE NAME LOGIN`."),
    (
        ('FATAL: database "',),
        "Check the name in audit.url; or make the database, as in `createdb NAME`, then `frame audit init URL`.",
    ),
    (("permission denied for database",), "Its owner may let the role in: `GRANT CONNECT ON DATABASE NAME TO ROLE`."),
    (
        ("does not support SSL", "certificate"),
        "Check sslmode, sslrootcert and sslcert in audit.url, and whether the server offers TLS.",
    ),
    (("Connection refused", "Is the server running", "timeout expired", "No route to host"), _LISTENS),
)  # fmt: skip
"""What is said, the more exact first, and what would help."""


def remedy(said: str) -> str:
    """What would help where the connection failed with the words `said`, "" if nobody knows.

    >>> remedy('failed to resolve host "nowhere"')
    'Check the host in audit.url.'
    """
    return next((helps for words, helps in _REMEDIES if any(word in said for word in words)), "")
