"""What goes wrong for people, proved through the front door: a clear error or a clean recovery, and no secret said.

Proved elsewhere, and not a second time here:
- an S3 server that dies half-way and comes back, and a gateway that is killed: tests/sync/test_kill.py
- a second `serve` is refused: tests/app/test_serve.py
- the layers of the guard against private addresses: tests/core/test_net.py
- frames that a client does not take: tests/gql/test_transports.py
- every header of content: tests/content/test_http.py
- a full disk and a killed PostgreSQL under the job engine: tests/jobs/test_outages.py
"""
