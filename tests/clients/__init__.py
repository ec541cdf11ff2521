"""The protocols' own clients in other languages, run against a real server (`make clients`)."""
