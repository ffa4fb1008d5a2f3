"""How the driver is set up: policies, timeouts, encryption."""

import ssl

from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.policies import (
    DCAwareRoundRobinPolicy,
    ExponentialReconnectionPolicy,
    RetryPolicy,
    TokenAwarePolicy,
)
from cassandra.protocol import ProtocolException
from cassandra.query import tuple_factory

from lern.adapters.cassandra.decoding import Answers
from lern.adapters.cassandra.failures import DRIVER_ERRORS, unreachable
from lern.errors import SettingsError
from lern.settings.model import CassandraSettings, Tls

_CONNECT_SECONDS = 5.0
_HEARTBEAT_SECONDS = 10.0
"""After how long without traffic a connection is tested, and how long the answer may take."""

_CHEAP_PROTOCOL = 4
"""What all servers speak. Version 5 (Cassandra 4.0) frames and sums everything again, which costs the driver a fifth
more and brings nothing that is used here; it is negotiated where a server does not take version 4 any more."""


def connect(settings: CassandraSettings, request_timeout: float) -> Session:
    """A new connection; its `cluster` has to be shut down when it is not used any more.

    Raises Unavailable while no node can be reached, and SettingsError for a wrong password, datacenter or PEM file.
    """
    try:
        return _connect(settings, request_timeout, _CHEAP_PROTOCOL)
    except DRIVER_ERRORS as error:
        if not _is_about_protocol(error):
            raise unreachable(error) from error
    try:
        return _connect(settings, request_timeout, None)
    except DRIVER_ERRORS as error:
        raise unreachable(error) from error


def _connect(settings: CassandraSettings, request_timeout: float, protocol: int | None) -> Session:
    cluster = Cluster(
        settings.hosts,
        port=settings.port,
        auth_provider=_credentials(settings),
        ssl_context=_tls(settings.tls),
        execution_profiles={EXEC_PROFILE_DEFAULT: _profile(settings, request_timeout)},
        # Soon after an outage everything goes on; the driver's own policy waits up to ten minutes, and gives up in the end.
        reconnection_policy=ExponentialReconnectionPolicy(0.5, 2.0, max_attempts=None),
        connect_timeout=_CONNECT_SECONDS,
        control_connection_timeout=_CONNECT_SECONDS,
        idle_heartbeat_interval=_HEARTBEAT_SECONDS,
        idle_heartbeat_timeout=_HEARTBEAT_SECONDS,
        monitor_reporting_enabled=False,
        application_name="lern-jobs",
        **({"protocol_version": protocol} if protocol else {}),
    )
    try:
        session = cluster.connect()
    except DRIVER_ERRORS as error:
        datacenters = {host.datacenter for host in cluster.metadata.all_hosts() if host.datacenter}
        cluster.shutdown()
        if datacenters and settings.local_datacenter and settings.local_datacenter not in datacenters:
            raise SettingsError(
                f"lms-cassandra: there is no datacenter {settings.local_datacenter!r};"
                f" the cluster has {', '.join(sorted(datacenters))}"
            ) from error
        raise
    session.client_protocol_handler = Answers
    return session


def _profile(settings: CassandraSettings, request_timeout: float) -> ExecutionProfile:
    nearby = DCAwareRoundRobinPolicy(
        settings.local_datacenter or ""
    )  # empty: that of the first contact point
    return ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(nearby),
        # Goes on to another node where one is down or overloaded; a timeout is not repeated, the caller hears of it.
        retry_policy=RetryPolicy(),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=request_timeout,
        row_factory=tuple_factory,  # the default one makes a class for every answer
    )


def _credentials(settings: CassandraSettings) -> PlainTextAuthProvider | None:
    if settings.username is None:
        return None
    return PlainTextAuthProvider(settings.username, settings.password or "")


def _tls(tls: Tls) -> ssl.SSLContext | None:
    if not tls.enabled:
        return None
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:  # an SSLError is one
        raise SettingsError(f"lms-cassandra: a PEM file cannot be used: {error}") from error
    # Nodes are addressed by the numbers under which the cluster knows them, and these are not in certificates.
    context.check_hostname = False
    return context


def _is_about_protocol(error: Exception) -> bool:
    causes = [error, *getattr(error, "errors", {}).values()]
    return any(isinstance(cause, ProtocolException) for cause in causes)
