"""Orders in Django's admin: staff change their status, in the list or on the page of one."""

from django.contrib import admin

from project.orders.models import Order


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    list_display = ["number", "user", "status", "created_at"]
    list_editable = ["status"]
    list_filter = ["status", "created_at"]
    list_select_related = ["user"]
    raw_id_fields = ["user"]
    search_fields = ["number"]
