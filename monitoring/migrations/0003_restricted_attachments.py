from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0002_windows_from_sources")]

    operations = [
        migrations.AddField(
            model_name="checkattachment",
            name="restricted",
            field=models.BooleanField(
                default=False, help_text="for those who may read the whole cube, and erased with it"
            ),
        ),
        # Files of this name from before were open to all readers.
        migrations.RunSQL(
            "UPDATE monitoring_checkattachment SET restricted = true"
            " WHERE name = 'reason-codes.json'",
            migrations.RunSQL.noop,
        ),
    ]
