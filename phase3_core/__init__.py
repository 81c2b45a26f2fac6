"""The rules: values, policy, use cases. Standard library only; no Dagster, SQL, HTTP, clock or randomness."""
