"""What a check is given: what a framework did, and what the reference says it should have done."""
