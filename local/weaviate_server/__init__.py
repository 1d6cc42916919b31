"""A stand-in for a Weaviate server: real HTTP and gRPC sockets, objects in memory.

It is for tests and demonstrations where no server can be installed, and speaks what
weaviate-client v4 speaks, with that client's own protobufs. What it answers follows the server's
public source (github.com/weaviate/weaviate: adapters/handlers/grpc/v1 and rest).

Answered:
    - readiness, `/v1/meta` with a version of choice, `/v1/nodes`, gRPC health, API keys;
    - collections with one unnamed vector or named ones, every property type, tenants with their
      activity, properties that the server would add by itself (auto schema);
    - Search by cursor, by offset up to 10,000, by filter, near a vector or an object, by words
      (BM25) and by both, with metadata, vectors, blobs and references as they are asked for;
    - Aggregate (counts), BatchObjects, BatchStream, BatchReferences, BatchDelete, TenantsGet;
    - objects and their references over REST; `limit`ed messages of at most 104,858,000 bytes;
    - from 1.37 on, an export to a folder as Parquet, laid out as the server lays it out.

Left out: generative search, sorting, grouping, aggregation of properties, GraphQL, backups,
aliases, users and roles, replication (one node, any consistency level is met), vectorizers (vectors
are brought along), approximation (a search is exact), stop words, telling whether a phone number is
valid. What is left out is refused as UNIMPLEMENTED or 501.

The server's own: `WeaviateServer.control` loads objects, counts what was read and causes faults.

A client looks for newer versions on the internet as it connects, and without a network that may
take as long as its timeout: `connect_to_custom(…, skip_init_checks=True)` does not look.
"""
