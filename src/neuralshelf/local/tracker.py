"""The local ranker's event tracker, told by Personalize's PutEvents what people look at on the search page."""

import uuid
from datetime import UTC, datetime
from typing import Any

from neuralshelf.errors import MissingDependencyError, ServerError
from neuralshelf.model_packages.ranker.contract import TRACKER

SECONDS = 2.0
"""For an event, which a click waits for."""


class LocalTracker:
    """Sends views; may be called from any thread. Each instance is a session of its own."""

    def __init__(self, url: str, *, region: str, access_key: str, secret_key: str) -> None:
        """Sends nothing yet.

        Raises:
            MissingDependencyError: boto3 is not installed.
            ServerError: it can't be set up, such as for AWS_PROFILE naming none.
        """
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
        except ImportError:
            raise MissingDependencyError("views need boto3", hint="pip install 'neuralshelf[aws]'") from None
        limits: Any = {"connect_timeout": SECONDS, "read_timeout": SECONDS, "retries": {"total_max_attempts": 1}}
        try:
            self._client = boto3.client(
                "personalize-events",
                endpoint_url=url,
                region_name=region,
                aws_access_key_id=access_key,
                aws_secret_access_key=secret_key,
                config=Config(proxies={}, **limits),
            )
        except BotoCoreError as fault:
            raise ServerError(f"no event tracker: {fault}", hint="set AWS_PROFILE to one that is there") from None
        self._session = f"page-{uuid.uuid4()}"

    def __call__(self, user: str, item: str) -> None:
        """Keep that somebody viewed an item.

        Raises:
            ServerError: the tracker can't be reached, or refuses.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        event: Any = {"eventType": "view", "itemId": item, "sentAt": datetime.now(UTC)}
        try:
            self._client.put_events(trackingId=TRACKER, userId=user, sessionId=self._session, eventList=[event])
        except (BotoCoreError, ClientError) as fault:
            raise ServerError(f"the event tracker failed: {fault}", hint="neuralshelf status") from None
