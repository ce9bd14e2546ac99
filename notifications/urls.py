"""The addresses of this app's REST API, without slashes at the end. A site includes them next to `realtime.urls`."""

from django.urls import path

from notifications.api import announcements, follows, inbox, opening, preferences
from notifications.mailing.unsubscribing import UnsubscribeView

app_name = "notifications"

urlpatterns = [
    path("api/v1/notifications", inbox.InboxView.as_view(), name="inbox"),
    path("api/v1/notifications/counts", inbox.CountsView.as_view(), name="counts"),
    path("api/v1/notifications/acts", inbox.ActsView.as_view(), name="acts"),
    path("api/v1/notifications/undo", inbox.UndoView.as_view(), name="undo"),
    path("api/v1/notifications/preferences", preferences.PreferencesView.as_view(), name="preferences"),
    path("api/v1/notifications/unsubscribe/<str:token>", UnsubscribeView.as_view(), name="unsubscribe"),
    path("api/v1/notifications/<str:id>/explain", preferences.ExplainView.as_view(), name="explain"),
    path("api/v1/notifications/follows", follows.FollowsView.as_view(), name="follows"),
    path("api/v1/notifications/follows/<str:model>/<path:key>", follows.FollowView.as_view(), name="follow"),
    path("api/v1/notifications/mutes/<str:model>/<path:key>", follows.MuteView.as_view(), name="mute"),
    path("api/v1/notifications/<str:id>", inbox.NotificationView.as_view(), name="notification"),
    path("api/v1/notifications/<str:id>/open", opening.OpenView.as_view(), name="open"),
    path("api/v1/notifications/<str:id>/actions/<str:key>", inbox.ActionView.as_view(), name="action"),
    path("api/v1/notifications/<str:id>/<str:act>", inbox.ActView.as_view(), name="act"),
    path("api/v1/announcements", announcements.AnnouncementsView.as_view(), name="announcements"),
    path("api/v1/announcements/<str:announcement_id>/seen", announcements.SeenView.as_view(), name="announcement-seen"),
    path("api/v1/announcements/<str:announcement_id>/read", announcements.ReadView.as_view(), name="announcement-read"),
    path(
        "api/v1/announcements/<str:announcement_id>/dismiss",
        announcements.DismissView.as_view(),
        name="announcement-dismiss",
    ),
    path(
        "api/v1/announcements/<str:announcement_id>/confirm",
        announcements.ConfirmView.as_view(),
        name="announcement-confirm",
    ),
]
