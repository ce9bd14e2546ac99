"""Each stream of a room notes which room writes it, so that a later room with the same slug can be told from it."""

from django.db import migrations, models
from django.db.models import OuterRef, Subquery, Value
from django.db.models.functions import Coalesce, Substr


def note_rooms(apps, schema_editor):
    Room, Stream = apps.get_model("realtime", "Room"), apps.get_model("realtime", "Stream")
    database = schema_editor.connection.alias
    named = Room.objects.using(database).filter(slug=OuterRef("slug")).values("pk")
    streams = Stream.objects.using(database).filter(name__startswith="room.")
    streams = streams.annotate(slug=Substr("name", len("room.") + 1))
    streams.update(room=Coalesce(Subquery(named), Value(0)))


class Migration(migrations.Migration):
    dependencies = [("realtime", "0004_labels_and_help_texts")]

    operations = [
        migrations.AddField(
            model_name="stream",
            name="room",
            field=models.PositiveBigIntegerField(db_default=0, default=0, verbose_name="room"),
        ),
        migrations.RunPython(note_rooms, migrations.RunPython.noop),
    ]
