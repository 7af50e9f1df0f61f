from django.db import migrations
from django.db.models.functions import Lower


def lower_case_emails(apps, schema_editor):
    """One spelling for one mailbox, as accounts.models.normalize_email has it; may run twice."""
    payments = apps.get_model("payments", "Payment").objects.using(schema_editor.connection.alias)
    payments.exclude(customer_email=Lower("customer_email")).update(customer_email=Lower("customer_email"))


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0001_initial'),
    ]

    operations = [
        migrations.RunPython(lower_case_emails, migrations.RunPython.noop),
    ]
