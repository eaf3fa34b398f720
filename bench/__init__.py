"""Simulated clients with real ICE, DTLS and SRTP, and the measurements made with them.

The library: `peer` (one client's media), `client` (REST and WebSocket around it), with `sdp`, `ice`, `dtls`, `payload`,
`speech` and `impairment` below. Loads: `shapes`, `population`, `generator`, `windows`; other servers in `others`. The commands:
`python -m bench --help`. Nothing here is imported by `server`, and nothing that measures imports it (a database is filled by
its own schema): what measures must not share the mistakes of what is measured. Packets go to loopback addresses only.
"""
