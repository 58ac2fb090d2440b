"""A campaign of Amazon Personalize, from the interactions to the ranking: made, looked at, taken away."""
