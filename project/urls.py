"""The site's addresses."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from project import views

urlpatterns = [
    path("", views.landing, name="landing"),
    path("admin/", admin.site.urls),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", views.DocsView.as_view(), name="docs"),
    path("api/docs/socket", views.SOCKET_DOCS, name="socket-docs"),
    path("", include("realtime.urls")),
    path("", include("notifications.urls")),
    path("api/<path:rest>", views.UnknownView.as_view()),
]
handler500 = views.server_error
