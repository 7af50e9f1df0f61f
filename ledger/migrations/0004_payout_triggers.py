from django.db import migrations

from ledger import triggers

TABLES = ("ledger_payoutline",)


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0003_payouts'),
    ]

    operations = [
        migrations.RunPython(
            lambda apps, schema_editor: triggers.install(schema_editor.connection, TABLES),
            lambda apps, schema_editor: triggers.remove(schema_editor.connection, TABLES),
        ),
    ]
