"""The local ranker: who likes what, learnt from interactions, behind the contract of Amazon Personalize."""
