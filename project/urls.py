"""The site's addresses."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.i18n import JavaScriptCatalog

from project import views
from project.demo import views as demo
from project.orders import api as orders

urlpatterns = [
    path("", views.start, name="start"),
    path("demo/sign-in", demo.sign_in, name="demo-sign-in"),
    path("demo/admin", demo.open_admin, name="demo-admin"),
    path("demo/texts.js", JavaScriptCatalog.as_view(packages=["project"]), name="demo-texts"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
    path("api/schema", views.SchemaView.as_view(), name="schema"),
    path("api/docs", views.DocsView.as_view(), name="docs"),
    path("api/v1/orders", orders.OrdersView.as_view(), name="orders"),
    path("api/v1/orders/<int:key>/next", orders.NextStepView.as_view(), name="order-next"),
    path("api/docs/socket", views.SOCKET_DOCS, name="socket-docs"),
    path("", include("realtime.urls")),
    path("", include("notifications.urls")),
    re_path(r"^api/", views.UnknownView.as_view()),  # also with a line break in it, which `<path:rest>` does not find
]
handler500 = views.server_error
