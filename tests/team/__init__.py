"""Teams as they are in life: unix users, keys, roles; what each of them sees, and what those outside do not."""
