"""How a number becomes red or green: findings, checks, verdicts and tolerances."""
