"""The one table of the plain site."""

from django.db import models


class Message(models.Model):
    sender = models.BigIntegerField()
    recipient = models.BigIntegerField()
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.sender} to {self.recipient}"
