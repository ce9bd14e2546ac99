"""Mails to readers who are away: queued with the notification, checked again and sent by a job."""
