from django.db import migrations

from ledger import triggers

TABLES = ("ledger_journal", "ledger_entry")


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0001_initial'),
    ]

    operations = [
        migrations.RunPython(
            lambda apps, schema_editor: triggers.install(schema_editor.connection, TABLES),
            lambda apps, schema_editor: triggers.remove(schema_editor.connection, TABLES),
        ),
    ]
