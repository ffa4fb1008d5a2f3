"""Real Kafka, Cassandra and Redis, started and stopped by the command `scripts/servers`.

Standard library only: the command runs before the project's environment exists.

`cli` reads the command line and `environment` answers which addresses are given from outside.
`local` runs the servers as processes of this machine, `container` in a container engine; `state` remembers them.
`kafka`, `cassandra` and `redis` each say how one server is set up, started and asked whether it is ready.
"""
