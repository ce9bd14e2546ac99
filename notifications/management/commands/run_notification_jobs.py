"""`manage.py run_notification_jobs`: does the work that is due. For cron, on sites whose servers do not do it."""

from typing import Any

from django.core.management.base import BaseCommand

from notifications import jobs


class Command(BaseCommand):
    help = "Send the mails and summaries that are due, bring back snoozed notifications, and delete expired ones."

    def handle(self, *args: Any, **options: Any) -> None:
        done = jobs.run_due()
        if options["verbosity"]:
            self.stdout.write(f"Jobs that were due: {', '.join(done) or 'none'}.")
