"""Models onto SageMaker and Bedrock, and what that needs on AWS."""
