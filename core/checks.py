"""System checks: an installation that could lose or leak something does not start, or says so before it is deployed.

`manage.py check` runs the settings' checks; `migrate` and `work` the database's too; `check --deploy --database
default` all of them. Errors have the ids tillgate.E…, warnings tillgate.W…; SILENCED_CHECKS silences one by its id.
"""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections
from django.http.request import split_domain_port, validate_host

from core.targets import read_allowed

INSTALLATION = "installation"  # a tag: `manage.py check --tag installation`
MIN_SECRET_LENGTH = 50  # characters, as Django's security.W009
MYSQL, MARIADB, POSTGRESQL = (8, 0), (10, 6), 140000
MIN_RETENTION_DAYS = 7
STRICT_MODES = {"STRICT_ALL_TABLES", "STRICT_TRANS_TABLES"}
EXACT_COLLATIONS = ("_bin", "_cs")  # binary, or case-sensitive

Messages = list[CheckMessage]


# --- Settings ---------------------------------------------------------------------------------
@register(INSTALLATION)
def check_encryption_keys(app_configs: Sequence[Any] | None, **options: Any) -> Messages:
    keys = settings.ENCRYPTION_KEYS
    if not keys:
        return [Error("ENCRYPTION_KEYS is empty.", hint=KEY_HINT, id="tillgate.E101")]
    if not all(_is_fernet_key(key) for key in keys):
        return [Error("ENCRYPTION_KEYS holds a value that is no Fernet key.", hint=KEY_HINT, id="tillgate.E102")]
    if settings.SECRET_KEY in keys:
        return [Error("An encryption key is the SECRET_KEY: who has one has both.", hint=KEY_HINT, id="tillgate.E103")]
    return []


KEY_HINT = "Make one: python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"


def _is_fernet_key(key: str) -> bool:
    try:
        Fernet(key)
    except ValueError:
        return False
    return True


@register(INSTALLATION)
def check_demo_is_local(app_configs: Sequence[Any] | None, **options: Any) -> Messages:
    host = urlsplit(settings.SITE_URL).hostname or ""
    if not settings.DEMO or _is_local(host):
        return []
    message = f"DEMO is on, and SITE_URL has the public host {host}: the demo has known passwords and no TLS."
    return [Error(message, hint="Set DEMO=false; .env.example lists what production needs.", id="tillgate.E104")]


def _is_local(host: str) -> bool:
    """Whether the name means this machine or its own network: no dot, or a domain that nobody can own (RFC 6761)."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".test"))


@register(INSTALLATION, deploy=True)
def check_secret_key(app_configs: Sequence[Any] | None, **options: Any) -> Messages:
    if len(settings.SECRET_KEY) >= MIN_SECRET_LENGTH:
        return []
    hint = "Make one: python -c 'import secrets; print(secrets.token_urlsafe(50))'"
    return [Error(f"SECRET_KEY has less than {MIN_SECRET_LENGTH} characters.", hint=hint, id="tillgate.E105")]


@register(INSTALLATION, deploy=True)
def check_site_url(app_configs: Sequence[Any] | None, **options: Any) -> Messages:
    """Links in mails and to the checkout start with it, so it must be reachable, and safe to type a card on."""
    parts = urlsplit(settings.SITE_URL)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.path or parts.query:
        hint = "Scheme and host only: https://pay.example.com"
        return [Error("SITE_URL is not the address of a site.", hint=hint, id="tillgate.E106")]
    if parts.scheme != "https" and not settings.DEMO:
        return [Error("SITE_URL must be https outside the demo.", id="tillgate.E107")]
    if not validate_host(split_domain_port(parts.netloc)[0], settings.ALLOWED_HOSTS):
        return [Error("The host of SITE_URL is not in ALLOWED_HOSTS: our own links fail.", id="tillgate.E108")]
    return []


@register(INSTALLATION, deploy=True)
def check_allowed_hosts(app_configs: Sequence[Any] | None, **options: Any) -> Messages:
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [Error('ALLOWED_HOSTS must not be "*".', hint="Name the hosts of this site.", id="tillgate.E109")]


@register(INSTALLATION, deploy=True)
def check_email(app_configs: Sequence[Any] | None, **options: Any) -> Messages:
    """Mails hold links that log somebody in, so they are neither printed to a log nor sent in the clear."""
    if settings.DEMO:
        return []
    if not settings.EMAIL_HOST:
        hint = "Name a mail server in EMAIL_URL."
        return [
            Error("Mails are printed instead of being sent, with the links in them.", hint=hint, id="tillgate.E110")
        ]
    if settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL or _is_local(settings.EMAIL_HOST):
        return []
    hint = "Use smtp+tls:// or smtp+ssl:// in EMAIL_URL."
    return [Error(f"Mails to {settings.EMAIL_HOST} travel unencrypted.", hint=hint, id="tillgate.E111")]


@register(INSTALLATION, deploy=True)
def check_one_machine(app_configs: Sequence[Any] | None, **options: Any) -> Messages:
    if connections["default"].vendor != "sqlite":
        return []
    hint = "Use PostgreSQL, MySQL or MariaDB; or, when one machine is all you want, SILENCED_CHECKS=tillgate.W101"
    return [Warning("SQLite has one writer and serves a single machine only.", hint=hint, id="tillgate.W101")]


@register(INSTALLATION)
def check_outbound_allowed(app_configs: Sequence[Any] | None, **options: Any) -> Messages:
    try:
        read_allowed(tuple(settings.OUTBOUND_ALLOWED))
    except ValueError as error:
        hint = "Host names, addresses and networks, separated by commas: erp.internal,10.20.0.0/16"
        return [Error(f"OUTBOUND_ALLOWED cannot be read: {error}.", hint=hint, id="tillgate.E112")]
    return []


@register(INSTALLATION)
def check_event_retention(app_configs: Sequence[Any] | None, **options: Any) -> Messages:
    if settings.EVENT_RETENTION_DAYS >= MIN_RETENTION_DAYS:
        return []
    message = f"EVENT_RETENTION_DAYS is less than {MIN_RETENTION_DAYS}: webhooks are retried for more than three days."
    return [Error(message, id="tillgate.E113")]


# --- The database -----------------------------------------------------------------------------
@register(Tags.database)
def check_database(
    app_configs: Sequence[Any] | None, databases: Iterable[str] | None = None, **options: Any
) -> Messages:
    """What the code takes for granted: exact comparison, strict values, one isolation level."""
    return _each(databases, {"mysql": _mysql, "postgresql": _postgresql})


@register(Tags.database, deploy=True)
def check_durability(
    app_configs: Sequence[Any] | None, databases: Iterable[str] | None = None, **options: Any
) -> Messages:
    """That what was answered with 2xx survives a power cut."""
    return _each(databases, {"mysql": _mysql_durability, "postgresql": _postgresql_durability})


def _each(databases: Iterable[str] | None, checks: dict[str, Callable[[Any], Messages]]) -> Messages:
    found: Messages = []
    for alias in databases or ():
        connection = connections[alias]
        if connection.vendor in checks:
            found += checks[connection.vendor](connection)
    return found


def _mysql(connection: Any) -> Messages:
    is_mariadb = connection.mysql_is_mariadb
    if connection.mysql_version < (MARIADB if is_mariadb else MYSQL):
        return [Error("MariaDB 10.6 or MySQL 8.0 is the oldest that works.", id="tillgate.E001")]
    values = _variables(connection)
    found: Messages = []
    if {values["character_set_database"], values["character_set_connection"]} != {"utf8mb4"}:
        found.append(Error("The database's character set must be utf8mb4.", hint=COLLATION_HINT, id="tillgate.E002"))
    if not values["collation_database"].endswith(EXACT_COLLATIONS):
        message = f"The database's collation {values['collation_database']} does not tell A from a."
        found.append(Error(message, hint=COLLATION_HINT, id="tillgate.E003"))
    elif folding := _folding_tables(connection):
        message = f"Tables with a collation that does not tell A from a: {', '.join(folding)}."
        found.append(Error(message, hint="ALTER TABLE … CONVERT TO CHARACTER SET utf8mb4 …", id="tillgate.E004"))
    if not STRICT_MODES & set(values["sql_mode"].split(",")):
        found.append(Error("sql_mode must be strict: values would be cut to fit.", id="tillgate.E005"))
    if values.get("transaction_isolation", values.get("tx_isolation")) != "READ-COMMITTED":
        found.append(Error("The isolation level must be READ COMMITTED.", id="tillgate.E006"))
    return found


COLLATION_HINT = "ALTER DATABASE … CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, before the first migrate."


def _folding_tables(connection: Any) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, table_collation FROM information_schema.tables "
            "WHERE table_schema = DATABASE() AND table_collation IS NOT NULL ORDER BY table_name"
        )
        return [table for table, collation in cursor.fetchall() if not collation.endswith(EXACT_COLLATIONS)]


def _mysql_durability(connection: Any) -> Messages:
    values = _variables(connection)
    found: Messages = []
    if values["innodb_flush_log_at_trx_commit"] != "1":
        found.append(Error("innodb_flush_log_at_trx_commit must be 1.", hint=DURABILITY_HINT, id="tillgate.E011"))
    if values["log_bin"] == "ON" and values["sync_binlog"] != "1":
        found.append(Error("sync_binlog must be 1.", hint=DURABILITY_HINT, id="tillgate.E012"))
    return found


DURABILITY_HINT = "Otherwise a power cut takes payments that were acknowledged."


def _variables(connection: Any) -> dict[str, str]:
    """The session's variables; a name that a server does not know is left out (MariaDB 10 has tx_isolation only)."""
    names = (
        "character_set_database",
        "character_set_connection",
        "collation_database",
        "sql_mode",
        "transaction_isolation",
        "tx_isolation",
        "innodb_flush_log_at_trx_commit",
        "log_bin",
        "sync_binlog",
    )
    with connection.cursor() as cursor:
        cursor.execute("SHOW VARIABLES WHERE Variable_name IN %s", [names])
        return dict(cursor.fetchall())


def _postgresql(connection: Any) -> Messages:
    found: Messages = []
    if connection.pg_version < POSTGRESQL:
        found.append(Error("PostgreSQL 14 is the oldest that works.", id="tillgate.E001"))
    if _shown(connection, "server_encoding") != "UTF8":
        found.append(Error("The database's encoding must be UTF8.", id="tillgate.E002"))
    return found


def _postgresql_durability(connection: Any) -> Messages:
    return [
        Error(f"{name} must be on.", hint=DURABILITY_HINT, id=identity)
        for name, identity in (
            ("fsync", "tillgate.E021"),
            ("synchronous_commit", "tillgate.E022"),
            ("full_page_writes", "tillgate.E023"),
        )
        if _shown(connection, name) == "off"
    ]


def _shown(connection: Any, name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        return cursor.fetchone()[0]
