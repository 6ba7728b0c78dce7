import django.db.models.deletion
import kernel.identifiers
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Anchor',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('size', models.PositiveBigIntegerField()),
                ('kind', models.CharField(choices=[('file', 'File'), ('bucket', 'Bucket'), ('rfc3161', 'Rfc3161'), ('witness', 'Witness')], max_length=10)),
                ('target', models.CharField(max_length=300)),
                ('receipt', models.BinaryField()),
                ('created', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Checkpoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('size', models.PositiveBigIntegerField()),
                ('root', models.BinaryField()),
                ('note', models.TextField()),
                ('created', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('subscriber', models.CharField(max_length=100)),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('claimed', 'Claimed'), ('delivered', 'Delivered'), ('given_up', 'Given Up')], default='waiting', max_length=10)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('due', models.DateTimeField()),
                ('lease', models.UUIDField(null=True)),
                ('delivered', models.DateTimeField(null=True)),
                ('last_error', models.CharField(blank=True, max_length=500)),
            ],
            options={
                'verbose_name_plural': 'deliveries',
            },
        ),
        migrations.CreateModel(
            name='Entry',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('uuid', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, unique=True)),
                ('leaf', models.BinaryField()),
                ('at', models.DateTimeField()),
                ('type', models.CharField(max_length=100)),
                ('actor_kind', models.CharField(max_length=10)),
                ('actor', models.UUIDField()),
                ('object_type', models.CharField(max_length=60)),
                ('object_id', models.CharField(max_length=200)),
                ('scope', models.UUIDField(null=True)),
            ],
            options={
                'verbose_name_plural': 'entries',
                'indexes': [models.Index(fields=['at'], name='audit_entry_at'), models.Index(fields=['type', 'id'], name='audit_entry_type'), models.Index(fields=['actor', 'id'], name='audit_entry_actor'), models.Index(fields=['object_type', 'object_id', 'id'], name='audit_entry_object'), models.Index(condition=models.Q(('scope__isnull', False)), fields=['scope', 'id'], name='audit_entry_scope')],
            },
        ),
        migrations.CreateModel(
            name='Epoch',
            fields=[
                ('number', models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ('origin', models.CharField(max_length=200, unique=True)),
                ('created', models.DateTimeField()),
                ('predecessor', models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name='LogKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('vkey', models.CharField(max_length=300, unique=True)),
                ('created', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Tile',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('level', models.PositiveSmallIntegerField()),
                ('n', models.PositiveBigIntegerField()),
                ('hashes', models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name='WebhookEndpoint',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('url', models.URLField(max_length=1000)),
                ('patterns', models.JSONField()),
                ('generation', models.PositiveIntegerField(default=1)),
                ('pepper', models.CharField(max_length=60)),
                ('created', models.DateTimeField()),
                ('disabled', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Leaf',
            fields=[
                ('entry', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='position', serialize=False, to='audit.entry')),
                ('index', models.PositiveBigIntegerField()),
                ('hash', models.BinaryField()),
            ],
            options={
                'verbose_name_plural': 'leaves',
            },
        ),
        migrations.CreateModel(
            name='OutboxMessage',
            fields=[
                ('entry', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='outbox_message', serialize=False, to='audit.entry')),
            ],
        ),
        migrations.CreateModel(
            name='Pending',
            fields=[
                ('entry', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='pending', serialize=False, to='audit.entry')),
            ],
            options={
                'verbose_name_plural': 'pending',
            },
        ),
        migrations.CreateModel(
            name='PrivatePayload',
            fields=[
                ('entry', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='private_payload', serialize=False, to='audit.entry')),
                ('salt', models.BinaryField()),
                ('data', models.BinaryField()),
            ],
        ),
        migrations.AddField(
            model_name='delivery',
            name='entry',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='deliveries', to='audit.entry'),
        ),
        migrations.AddField(
            model_name='checkpoint',
            name='epoch',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='audit.epoch'),
        ),
        migrations.AddField(
            model_name='anchor',
            name='epoch',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='audit.epoch'),
        ),
        migrations.AddField(
            model_name='logkey',
            name='epoch',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='audit.epoch'),
        ),
        migrations.AddField(
            model_name='tile',
            name='epoch',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='audit.epoch'),
        ),
        migrations.AddField(
            model_name='leaf',
            name='epoch',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='audit.epoch'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state__in', ['waiting', 'claimed'])), fields=['due'], name='audit_delivery_due'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['subscriber', '-id'], name='audit_delivery_subscriber'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.UniqueConstraint(fields=('entry', 'subscriber'), name='audit_delivery_once'),
        ),
        migrations.AddConstraint(
            model_name='checkpoint',
            constraint=models.UniqueConstraint(fields=('epoch', 'size'), name='audit_checkpoint_size'),
        ),
        migrations.AddConstraint(
            model_name='anchor',
            constraint=models.UniqueConstraint(fields=('epoch', 'size', 'kind', 'target'), name='audit_anchor_once'),
        ),
        migrations.AddConstraint(
            model_name='tile',
            constraint=models.UniqueConstraint(fields=('epoch', 'level', 'n'), name='audit_tile_place'),
        ),
        migrations.AddConstraint(
            model_name='leaf',
            constraint=models.UniqueConstraint(fields=('epoch', 'index'), name='audit_leaf_place'),
        ),
    ]
