"""Two gateways and three workers on PostgreSQL and Valkey, as `sluicegate` processes."""
