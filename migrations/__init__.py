"""The history of the database, for SQLite and PostgreSQL alike."""
