import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """The indexes of the lists. They come first: MySQL keeps no foreign key without one that starts with its column."""

    dependencies = [
        ('payments', '0002_lower_case_emails'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(fields=['merchant', 'customer_email', 'id'], name='payment_by_customer'),
        ),
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(fields=['merchant', 'status', 'id'], name='payment_by_status'),
        ),
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(fields=['customer_email', 'id'], name='payment_by_email'),
        ),
        migrations.AlterField(
            model_name='payment',
            name='merchant',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='payments', to='accounts.merchant'),
        ),
        migrations.AlterField(
            model_name='transaction',
            name='merchant',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='transactions', to='accounts.merchant'),
        ),
        migrations.AlterField(
            model_name='transaction',
            name='payment',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='transactions', to='payments.payment'),
        ),
    ]
