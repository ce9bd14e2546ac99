"""The addresses of the REST API, without slashes at the end. `realtime.routing` has those of the sockets."""

from django.urls import path

from realtime.api import auth, members, messages, presence, rooms

app_name = "realtime"

urlpatterns = [
    path("api/v1/auth/token", auth.LoginView.as_view(), name="login"),
    path("api/v1/auth/refresh", auth.RefreshView.as_view(), name="refresh"),
    path("api/v1/auth/logout", auth.LogoutView.as_view(), name="logout"),
    path("api/v1/ws/ticket", auth.TicketView.as_view(), name="ticket"),
    path("api/v1/online", presence.OnlineView.as_view(), name="online"),
    path("api/v1/online/count", presence.OnlineCountView.as_view(), name="online-count"),
    path("api/v1/status", presence.StatusesView.as_view(), name="statuses"),
    path("api/v1/status/<path:user_id>", presence.StatusView.as_view(), name="status"),
    path("api/v1/rooms", rooms.RoomsView.as_view(), name="rooms"),
    path("api/v1/rooms/<slug:room_id>", rooms.RoomView.as_view(), name="room"),
    path("api/v1/rooms/<slug:room_id>/members", members.MembersView.as_view(), name="members"),
    path("api/v1/rooms/<slug:room_id>/members/<path:user_id>", members.MemberView.as_view(), name="member"),
    path("api/v1/rooms/<slug:room_id>/messages", messages.RoomMessagesView.as_view(), name="room-messages"),
    path("api/v1/messages", messages.DirectMessagesView.as_view(), name="direct-messages"),
]
