"""The rules: values, policy and use cases. Standard library only; no Dagster, SQL, HTTP, clock or randomness."""
